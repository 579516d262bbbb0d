import { describe, expect, test } from '@jest/globals';
import { SlotTable, pinsSlot, slotOf } from '../../../src/redis/cluster/slots.js';

describe('the slot of a channel', () => {
  // From CLUSTER KEYSLOT of a redis-server.
  test.each([
    ['', 0],
    ['123456789', 12739],
    ['chat-api:global', 10805],
    ['chat-api:room:tea', 3604],
    ['chat-api:room:{tea}', 3216],
    ['chat-api:room:{}', 16155],
    ['chat-api:room:{', 448],
    ['chat-api:room:a}b{c}', 7365],
    ['chat-api:room:茶 🍵', 6277],
  ])('of %j is %i, as Redis computes it', (channel, slot) => {
    expect(slotOf(channel)).toBe(slot);
  });
});

test.each([
  ['chat-api', false],
  ['{chat}', true],
  ['my-{chat}-api', true],
  ['{}chat', false],
  ['chat}{', false],
  ['}{chat}', true],
])('the prefix %j pins the slot of its channels: %j', (prefix, pins) => {
  expect(pinsSlot(prefix)).toBe(pins);
  const slots = new Set(['a', 'b', 'c}', 'd'].map((rest) => slotOf(`${prefix}:${rest}`)));
  expect(slots.size === 1).toBe(pins);
});

describe('a slot table', () => {
  const [A, B, C] = ['a:1', 'b:2', 'c:3'] as const;
  const table = new SlotTable([
    { first: 10, last: 19, server: B },
    { first: 0, last: 4, server: A },
    { first: 5, last: 5, server: C },
    { first: 30, last: 16_383, server: A },
  ]);
  const ownersOf = (one: SlotTable, slots: readonly number[]) => slots.map((slot) => one.ownerOf(slot));

  test('knows the owner of each slot, the first and the last of a range included', () => {
    expect(ownersOf(table, [0, 4, 5, 6, 9, 10, 19, 20, 29, 30, 16_383])).toEqual(
      [A, A, C, undefined, undefined, B, B, undefined, undefined, A, A], //
    );
    expect(table.owners).toEqual(new Set([A, B, C]));
    expect(table.unowned).toBe(4 + 10);
  });

  test('without ranges has no owners', () => {
    const empty = new SlotTable();
    expect(ownersOf(empty, [0, 16_383])).toEqual([undefined, undefined]);
    expect(empty.owners).toEqual(new Set());
    expect(empty.unowned).toBe(16_384);
  });

  test('takes corrections for single slots, whether they had an owner or not', () => {
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

  test('does not list a server whose only slot was corrected', () => {
    expect(table.corrected(new Map([[5, A]])).owners).toEqual(new Set([A, B]));
  });

  test('has only the corrections that it was given last', () => {
    const corrected = table.corrected(new Map([[5, A]])).corrected(new Map([[12, A]]));
    expect(ownersOf(corrected, [5, 12])).toEqual([C, A]);
  });
});
