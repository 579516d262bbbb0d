import { describe, expect, test } from '@jest/globals';
import { pinsSlot, slotOf } from '../../../src/redis/cluster/slots.js';

describe('the slot of a channel', () => {
  // Asked of a redis-server with CLUSTER KEYSLOT.
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
  ])('%j is in %i', (channel, slot) => {
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
])('a prefix %j puts everything into one slot: %j', (prefix, pins) => {
  expect(pinsSlot(prefix)).toBe(pins);
  const slots = new Set(['a', 'b', 'c}', 'd'].map((rest) => slotOf(`${prefix}:${rest}`)));
  expect(slots.size === 1).toBe(pins);
});
