import { describe, expect, test } from '@jest/globals';
import { pinsSlot, readMoved, readSlots, slotOf } from '../../src/redis/slots.js';

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

describe('the answer to CLUSTER SLOTS', () => {
  test('says who owns which, up to both ends of each range', () => {
    const table = readSlots(
      [
        [0, 1, ['10.0.0.1', 7000, 'id', []], ['10.0.0.2', 7001, 'id', []]],
        [3, 16_383, ['b.example', 7002, 'id', []]],
      ],
      'seed',
    );
    expect(table.slice(0, 4)).toEqual(['10.0.0.1:7000', '10.0.0.1:7000', undefined, 'b.example:7002']);
    expect(table).toHaveLength(16_384);
    expect(table.at(-1)).toBe('b.example:7002');
  });

  test.each([null, '', '?'])('may leave the host open (%j): it is the one that was asked', (host) => {
    expect(readSlots([[0, 0, [host, 7000]]], 'seed')[0]).toBe('seed:7000');
  });
});

describe('what MOVED says', () => {
  test.each([
    ['MOVED 3999 127.0.0.1:6381', { slot: 3999, server: '127.0.0.1:6381' }],
    ['MOVED 3999 ::1:6381', undefined],
    ['MOVED 3999 :6381', undefined],
    ['CLUSTERDOWN The cluster is down', undefined],
    ['MOVED', undefined],
  ])('%s', (reason, moved) => {
    expect(readMoved(reason)).toEqual(moved);
  });
});
