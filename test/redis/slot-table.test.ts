import { describe, expect, test } from '@jest/globals';
import { LinkError } from '../../src/redis/link.js';
import { SlotTable, readMoved, readSlots } from '../../src/redis/slot-table.js';

describe('a table of slots', () => {
  const [A, B, C] = ['a:1', 'b:2', 'c:3'] as const;
  const table = new SlotTable([
    { first: 10, last: 19, server: B },
    { first: 0, last: 4, server: A },
    { first: 5, last: 5, server: C },
    { first: 30, last: 16_383, server: A },
  ]);
  const ownersOf = (one: SlotTable, slots: readonly number[]) => slots.map((slot) => one.ownerOf(slot));

  test('knows who owns a slot, up to both ends of each range', () => {
    expect(ownersOf(table, [0, 4, 5, 6, 9, 10, 19, 20, 29, 30, 16_383])).toEqual(
      [A, A, C, undefined, undefined, B, B, undefined, undefined, A, A], //
    );
    expect(table.owners).toEqual(new Set([A, B, C]));
    expect(table.unowned).toBe(4 + 10);
  });

  test('knows nobody while there is no range', () => {
    const empty = new SlotTable();
    expect(ownersOf(empty, [0, 16_383])).toEqual([undefined, undefined]);
    expect(empty.owners).toEqual(new Set());
    expect(empty.unowned).toBe(16_384);
  });

  test('takes corrections of single slots, owned or not', () => {
    const corrected = table.corrected(
      new Map([
        [12, A],
        [25, 'new:4'],
      ]),
    );
    expect(ownersOf(corrected, [11, 12, 13, 24, 25, 26])).toEqual([B, A, B, undefined, 'new:4', undefined]);
    expect(corrected.owners).toEqual(new Set([A, B, C, 'new:4']));
    expect(corrected.unowned).toBe(4 + 9);
  });

  test('leaves out who owned nothing but what was corrected', () => {
    expect(table.corrected(new Map([[5, A]])).owners).toEqual(new Set([A, B]));
  });

  test('has the corrections that it was given last, and no others', () => {
    const corrected = table.corrected(new Map([[5, A]])).corrected(new Map([[12, A]]));
    expect(ownersOf(corrected, [5, 12])).toEqual([C, A]);
  });
});

describe('the answer to CLUSTER SLOTS', () => {
  test('says who owns which: the first server of each row, for the others are replicas', () => {
    const table = readSlots(
      [
        [0, 1, ['10.0.0.1', 7000, 'id', []], ['10.0.0.2', 7001, 'id', []]],
        [3, 16_383, ['b.example', 7002, 'id', []]],
      ],
      'seed',
    );
    expect([0, 1, 2, 3, 16_383].map((slot) => table.ownerOf(slot))).toEqual(
      ['10.0.0.1:7000', '10.0.0.1:7000', undefined, 'b.example:7002', 'b.example:7002'], //
    );
    expect(table.unowned).toBe(1);
  });

  test.each([null, '', '?'])('may leave the host open (%j): it is the one that was asked', (host) => {
    expect(readSlots([[0, 0, [host, 7000]]], 'seed').ownerOf(0)).toBe('seed:7000');
  });

  test.each<[what: string, answer: unknown]>([
    ['nothing', null],
    ['a text', 'OK'],
    ['a number', 1],
    ['a row that is none', [1]],
    ['a row without an owner', [[0, 1]]],
    ['a row whose owner is null', [[0, 1, null]]],
    ['a slot that is a text', [['0', '1', ['a', 7000]]]],
    ['a slot that is too high', [[0, 16_384, ['a', 7000]]]],
    ['a slot below 0', [[-1, 1, ['a', 7000]]]],
    ['a range that ends before it begins', [[2, 1, ['a', 7000]]]],
    [
      'ranges that overlap',
      [
        [5, 9, ['a', 7000]],
        [0, 5, ['b', 7000]],
      ],
    ],
    ['an owner without a port', [[0, 1, ['a']]]],
    ['a port that is none', [[0, 1, ['a', 0]]]],
    ['a host that is a number', [[0, 1, [7, 7000]]]],
  ])('is not %s: that ends the connection', (_, answer) => {
    expect(() => readSlots(answer, 'seed')).toThrow(LinkError);
  });
});

describe('what MOVED says', () => {
  test.each([
    ['MOVED 3999 127.0.0.1:6381', { slot: 3999, server: '127.0.0.1:6381' }],
    ['MOVED 3999 ::1:6381', undefined],
    ['MOVED 3999 :6381', undefined],
    ['MOVED 16384 127.0.0.1:6381', undefined],
    ['CLUSTERDOWN The cluster is down', undefined],
    ['MOVED', undefined],
  ])('%s', (reason, moved) => {
    expect(readMoved(reason)).toEqual(moved);
  });
});
