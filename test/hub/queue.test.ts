import { describe, expect, test } from '@jest/globals';
import { Queue } from '../../src/hub/queue.js';

function lineOf(...items: readonly number[]): Queue<number> {
  const line = new Queue<number>();
  for (const item of items) line.add(item);
  return line;
}

function taken(line: Queue<number>): (number | undefined)[] {
  return Array.from({ length: line.size + 1 }, () => line.take());
}

describe('a line', () => {
  test('gives what it was given in that order, and then nothing', () => {
    expect(taken(lineOf(3, 1, 2))).toEqual([3, 1, 2, undefined]);
  });

  test('has each thing once, at its first place', () => {
    expect(taken(lineOf(1, 2, 1))).toEqual([1, 2, undefined]);
  });

  test('gives nothing of what was removed, and says whether it was there', () => {
    const line = lineOf(1, 2, 3);
    expect([line.delete(1), line.delete(1), line.delete(2), line.size]).toEqual([true, false, true, 1]);
    expect(taken(line)).toEqual([3, undefined]);
  });

  test('takes more after it was empty, also what it had before', () => {
    const line = lineOf(1);
    expect(taken(line)).toEqual([1, undefined]);
    line.add(2);
    line.add(1);
    expect(taken(line)).toEqual([2, 1, undefined]);
  });

  test('puts at its end what is added again', () => {
    const line = lineOf(1, 2, 3);
    expect(line.take()).toBe(1);
    line.add(1);
    line.delete(2);
    line.add(2);
    expect(taken(line)).toEqual([3, 1, 2, undefined]);
  });

  test('shows its first, which stays until it is taken or removed', () => {
    const line = lineOf(1, 2, 3);
    expect([line.peek(), line.peek(), line.size]).toEqual([1, 1, 3]);
    line.delete(1);
    expect(line.peek()).toBe(2);
    // Seen and added again, it stands at the end.
    line.delete(2);
    line.add(2);
    expect([...line]).toEqual([3, 2]);
    expect(taken(line)).toEqual([3, 2, undefined]);
    expect(line.peek()).toBeUndefined();
  });
});
