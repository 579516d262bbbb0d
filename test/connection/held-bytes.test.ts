import { describe, expect, test } from '@jest/globals';
import { HeldBytes, heldBytesOf } from '../../src/connection/held-bytes.js';

/** Adds, one after the other; returns what `isFull` was at each change that was told. */
function changes(held: HeldBytes, ...bytes: readonly number[]): readonly boolean[] {
  const told: boolean[] = [];
  const telling = held.changed$.subscribe(() => told.push(held.isFull));
  for (const each of bytes) held.add(each);
  telling.unsubscribe();
  return told;
}

describe('held bytes', () => {
  test('are the sum of what was added and taken away', () => {
    const held = new HeldBytes(1000);
    changes(held, 300, 200, -450);
    expect(held.bytes).toBe(50);
  });

  test('are full at the bound, and told so once', () => {
    const held = new HeldBytes(1000);
    expect(changes(held, 999)).toEqual([]);
    expect(held.isFull).toBe(false);
    expect(changes(held, 1, 1, 500)).toEqual([true]);
  });

  test('are full until a tenth of the bound is free, so that a pod does not change its mind with each message', () => {
    const held = new HeldBytes(1000);
    expect(changes(held, 1000, -99, 99, -99)).toEqual([true]);
    expect(changes(held, -1)).toEqual([false]);
    expect(changes(held, 99)).toEqual([]);
    expect(changes(held, 1)).toEqual([true]);
  });

  test('count a text as the most that it may take', () => {
    expect(heldBytesOf('x'.repeat(1000)) - heldBytesOf('')).toBe(2000);
    expect(heldBytesOf('')).toBeGreaterThan(0);
  });
});
