import { describe, expect, test } from '@jest/globals';
import {
  PublishesInDoubt,
  readAnnouncement,
  writeAnnouncement,
  type EndedSession,
  type Untold,
} from '../../../src/redis/liveness/in-doubt.js';

const SINCE = { ms: 20, wallMs: 920 };
const PAST: EndedSession = { since: SINCE, place: 'a', demoted: true, published: true };

/** With ids that count up. */
function misplacedHere(): PublishesInDoubt {
  let ids = 0;
  return new PublishesInDoubt(() => `id-${(ids += 1)}`);
}

/** What is untold when a next life begins. */
function begun(misplaced: PublishesInDoubt, place: string): Untold | undefined {
  misplaced.begun(place);
  return misplaced.untold;
}

function tellAll(misplaced: PublishesInDoubt): number {
  let times = 0;
  for (; misplaced.untold && times < 100; times++) misplaced.told(misplaced.untold);
  return times;
}

describe('what a pod misplaced', () => {
  test('is nothing at first', () => {
    expect(begun(misplacedHere(), 'a')).toBeUndefined();
  });

  test.each([
    { past: PAST, next: 'a', told: true },
    { past: { ...PAST, demoted: false }, next: 'b', told: true },
    { past: { ...PAST, demoted: false }, next: 'a', told: false },
    { past: { ...PAST, published: false }, next: 'b', told: false },
  ])('after $past, with a next life at $next: told is $told', ({ past, next, told }) => {
    const misplaced = misplacedHere();
    misplaced.ended(past);
    expect(begun(misplaced, next)).toEqual(told ? { id: 'id-1', since: SINCE } : undefined);
  });

  test('is known of a life that is over when its server turns out to be no master', () => {
    const misplaced = misplacedHere();
    misplaced.suspect();
    misplaced.ended({ ...PAST, demoted: false });
    misplaced.suspect();
    expect(begun(misplaced, 'a')).toEqual({ id: 'id-1', since: SINCE });
    tellAll(misplaced);
    misplaced.suspect();
    expect(begun(misplaced, 'a')).toBeUndefined();
  });

  test('is told several times, for a pod may have no subscription at one of them', () => {
    const misplaced = misplacedHere();
    misplaced.ended(PAST);
    misplaced.begun('b');
    expect(tellAll(misplaced)).toBe(4);
  });

  test('stays until it has been told, and becomes another one by what comes to it', () => {
    const misplaced = misplacedHere();
    misplaced.ended(PAST);
    const first = begun(misplaced, 'b');
    misplaced.ended({ ...PAST, since: { ms: 40, wallMs: 840 } });
    expect(begun(misplaced, 'b')).toEqual({ id: 'id-2', since: { ms: 20, wallMs: 840 } });
    if (first) misplaced.told(first);
    expect(tellAll(misplaced)).toBe(4);
    expect(begun(misplaced, 'b')).toBeUndefined();
  });

  test('is not forgotten for a life in which nothing was published', () => {
    const misplaced = misplacedHere();
    misplaced.ended(PAST);
    misplaced.ended({ ...PAST, since: { ms: 40, wallMs: 940 }, published: false });
    expect(begun(misplaced, 'b')?.since).toEqual(SINCE);
  });
});

describe('an announcement', () => {
  test('is read as it was written, a little older and in whole milliseconds', () => {
    const text = writeAnnouncement({ id: '0194-ab_C', ageMs: 1000.25, wallMs: 1_767_225_600_000.75 });
    expect(text).toBe('2 0194-ab_C 1002 1767225600000');
    expect(readAnnouncement(Buffer.from(text))).toEqual({ id: '0194-ab_C', ageMs: 1002, wallMs: 1_767_225_600_000 });
  });

  test('of the version before names a span by its clock: the age is the length of the span', () => {
    expect(readAnnouncement(Buffer.from('1767225600000 1767225602500'))).toEqual({
      id: undefined,
      ageMs: 2500,
      wallMs: 1_767_225_600_000,
    });
  });

  test('is nothing that the version before reads as its own', () => {
    const text = writeAnnouncement({ id: '1', ageMs: 1, wallMs: 2 });
    expect(/^(\d{1,15}) (\d{1,15})$/.test(text)).toBe(false);
  });

  test.each([
    '',
    'x',
    '2',
    '70 x',
    '-1 90',
    '1e3 1e9',
    '70 9000000000000000',
    '2 a 1',
    '3 a 1 2',
    '2 a -1 2',
    '2 a 1 2 3',
    '2 a b 1 2',
  ])('is not %j', (text) => {
    expect(readAnnouncement(Buffer.from(text))).toBeUndefined();
  });
});
