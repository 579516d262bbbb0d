import { describe, expect, test } from '@jest/globals';
import { SlotTable } from '../../../src/redis/cluster/slot-table.js';

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
