import { describe, expect, test } from '@jest/globals';
import { PublishesInDoubt, type EndedSession, type UnannouncedSpan } from '../../../src/redis/liveness/in-doubt.js';

const SINCE = { ms: 20, wallMs: 920 };
const ENDED: EndedSession = { since: SINCE, server: 'a', demoted: true, published: true };

/** With ids that count up. */
function publishesInDoubt(): PublishesInDoubt {
  let ids = 0;
  return new PublishesInDoubt(() => `id-${(ids += 1)}`);
}

/** Starts a session. Returns the span that it has to announce. */
function started(inDoubt: PublishesInDoubt, server: string): UnannouncedSpan | undefined {
  inDoubt.sessionStarted(server);
  return inDoubt.unannounced;
}

/** Announces until nothing is left. Returns the number of announcements. */
function announceAll(inDoubt: PublishesInDoubt): number {
  let times = 0;
  for (; inDoubt.unannounced && times < 100; times++) inDoubt.announced(inDoubt.unannounced);
  return times;
}

describe('publishes in doubt', () => {
  test('do not exist before the first session', () => {
    expect(started(publishesInDoubt(), 'a')).toBeUndefined();
  });

  test.each([
    { what: 'whose server was demoted', ended: ENDED, next: 'a', announced: true },
    { what: 'at another server', ended: { ...ENDED, demoted: false }, next: 'b', announced: true },
    { what: 'at the same server', ended: { ...ENDED, demoted: false }, next: 'a', announced: false },
    { what: 'without publishes', ended: { ...ENDED, published: false }, next: 'b', announced: false },
  ])('of an earlier session $what are announced: $announced', ({ ended, next, announced }) => {
    const inDoubt = publishesInDoubt();
    inDoubt.sessionEnded(ended);
    expect(started(inDoubt, next)).toEqual(announced ? { id: 'id-1', since: SINCE } : undefined);
  });

  test('are announced if the demotion is noticed after the session has ended', () => {
    const inDoubt = publishesInDoubt();
    inDoubt.masterDemoted();
    inDoubt.sessionEnded({ ...ENDED, demoted: false });
    inDoubt.masterDemoted();
    expect(started(inDoubt, 'a')).toEqual({ id: 'id-1', since: SINCE });
    announceAll(inDoubt);
    inDoubt.masterDemoted();
    expect(started(inDoubt, 'a')).toBeUndefined();
  });

  test('are announced four times, since a pod that is reconnecting misses an announcement', () => {
    const inDoubt = publishesInDoubt();
    inDoubt.sessionEnded(ENDED);
    inDoubt.sessionStarted('b');
    expect(announceAll(inDoubt)).toBe(4);
  });

  test('get a new id when the span grows, and are announced anew', () => {
    const inDoubt = publishesInDoubt();
    inDoubt.sessionEnded(ENDED);
    const first = started(inDoubt, 'b');
    inDoubt.sessionEnded({ ...ENDED, since: { ms: 40, wallMs: 840 } });
    expect(started(inDoubt, 'b')).toEqual({ id: 'id-2', since: { ms: 20, wallMs: 840 } });
    if (first) inDoubt.announced(first);
    expect(announceAll(inDoubt)).toBe(4);
    expect(started(inDoubt, 'b')).toBeUndefined();
  });

  test('are kept over a session without publishes', () => {
    const inDoubt = publishesInDoubt();
    inDoubt.sessionEnded(ENDED);
    inDoubt.sessionEnded({ ...ENDED, since: { ms: 40, wallMs: 940 }, published: false });
    expect(started(inDoubt, 'b')?.since).toEqual(SINCE);
  });
});
