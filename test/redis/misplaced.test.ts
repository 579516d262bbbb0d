import { describe, expect, test } from '@jest/globals';
import { Misplaced, readSpan, writeSpan, type PastLife } from '../../src/redis/misplaced.js';

const PAST: PastLife = { sinceMs: 20, untilMs: 30, place: 'a', demoted: true, published: true };

describe('what a pod misplaced', () => {
  test('is nothing at first', () => {
    expect(new Misplaced().begun('a')).toBeUndefined();
  });

  test.each([
    { past: PAST, next: 'a', told: true },
    { past: { ...PAST, demoted: false }, next: 'b', told: true },
    { past: { ...PAST, demoted: false }, next: 'a', told: false },
    { past: { ...PAST, published: false }, next: 'b', told: false },
  ])('after $past, with a next life at $next: told is $told', ({ past, next, told }) => {
    const misplaced = new Misplaced();
    misplaced.ended(past);
    expect(misplaced.begun(next)).toEqual(told ? expect.objectContaining({ sinceMs: 20, untilMs: 30 }) : undefined);
  });

  test('stays until it has been told, and grows by what comes to it', () => {
    const misplaced = new Misplaced();
    misplaced.ended(PAST);
    misplaced.begun('b');
    misplaced.ended({ ...PAST, sinceMs: 40, untilMs: 50 });
    expect(misplaced.begun('b')).toEqual({ sinceMs: 20, untilMs: 50 });
    misplaced.told();
    expect(misplaced.begun('b')).toBeUndefined();
  });

  test('is not forgotten for a life in which nothing was published', () => {
    const misplaced = new Misplaced();
    misplaced.ended(PAST);
    misplaced.ended({ ...PAST, sinceMs: 40, untilMs: 50, published: false });
    expect(misplaced.begun('b')).toEqual(expect.objectContaining({ sinceMs: 20, untilMs: 30 }));
  });
});

test('a span is read as it was written', () => {
  expect(readSpan(Buffer.from(writeSpan({ sinceMs: 1_767_225_600_000, untilMs: 1_767_225_600_001 })))).toEqual({
    sinceMs: 1_767_225_600_000,
    untilMs: 1_767_225_600_001,
  });
});
