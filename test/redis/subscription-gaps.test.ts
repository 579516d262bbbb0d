import { describe, expect, test } from '@jest/globals';
import { NEVER, ignoreElements, timer, type Subscription } from 'rxjs';
import { CANARY_INTERVAL_MS } from '../../src/redis/liveness/health-check.js';
import { LONGEST_PUBLISH_MS, replyOf, scene, type Scene } from '../support/redis-subscription.js';

describe('the since of a gap', () => {
  /** Times over several canaries, also while one is on its way. */
  const breaks = Array.from({ length: 200 }, (_, nth) => 1600 + nth * 23);

  test.each([0, 1, 50, 200])(
    'is at most 2 s and five quarters of a timeout before the loss, if the link takes %i ms to reply',
    (delayMs) => {
      for (const ms of breaks) {
        scene((it) => {
          it.link.outcome = () => timer(delayMs, it.scheduler).pipe(ignoreElements());
          expect(ms - it.sinceOfBreakAt(ms)).toBeLessThanOrEqual(CANARY_INTERVAL_MS + LONGEST_PUBLISH_MS);
        });
      }
    },
  );

  test('is at least five quarters of a timeout before the loss, to cover publishes that were pending', () => {
    for (const ms of breaks)
      scene((it) => {
        expect(ms - it.sinceOfBreakAt(ms)).toBeGreaterThanOrEqual(LONGEST_PUBLISH_MS);
      });
  });

  test('is the last time at which the master was known', () => {
    scene((it) => {
      it.at(4000, () => (it.isKnown = false));
      expect(it.sinceOfBreakAt(60_000)).toBe(3001 - LONGEST_PUBLISH_MS);
    });
  });
});

describe('an announcement of publishes in doubt', () => {
  /** The gaps after announcements, each at its time. */
  function gapsOf(
    announced: readonly (readonly [atMs: number, payload: string])[],
    play?: (it: Scene, first: Subscription) => void,
  ): readonly string[] {
    let gaps: readonly string[] = [];
    scene((it) => {
      it.join('tea');
      const first = it.start();
      play?.(it, first);
      for (const [ms, payload] of announced) {
        it.at(ms, () => {
          it.link.say('test:misplaced', payload);
        });
      }
      gaps = it.until(5000).filter((line) => line.includes('gap'));
    });
    return gaps;
  }

  // The last canary that came back was sent at 1501.
  const provenMs = 1501 - LONGEST_PUBLISH_MS;

  test.each([
    { what: 'equal to ours', wallMs: 1100 },
    { what: 'far ahead of ours', wallMs: 9_000_000 },
  ])('gives a gap in all rooms since its age, if the clock of the sending pod is $what', ({ wallMs }) => {
    expect(gapsOf([[2000, `2 a 700 ${wallMs}`]])).toEqual([`2000 gap since ${provenMs - 700} in all`]);
  });

  test('gives a gap since the time that it names if that is earlier, since timestamps are of that clock', () => {
    expect(gapsOf([[2000, '2 a 700 -9000']])).toEqual(['2000 gap since -9000 in all']);
  });

  test('is dated by the last reply of the server while canaries are refused', () => {
    const gaps = gapsOf([[4000, '2 a 700 9000']], (it) => {
      it.at(1000, () => (it.refusal = 'OOM'));
    });
    // The last ROLE was sent at 3001.
    expect(gaps).toEqual([`4000 gap since ${3001 - LONGEST_PUBLISH_MS - 700} in all`]);
  });

  test('gives a gap also if its span ended before this session was ready, whatever the clocks say', () => {
    expect(gapsOf([[2000, '2 a 9000 5']])).toEqual([`2000 gap since ${provenMs - 9000} in all`]);
    expect(gapsOf([[2000, '2 a 1 99999999']])).toEqual([`2000 gap since ${provenMs - 1} in all`]);
  });

  test('that comes before the session is ready gives a gap as soon as it is', () => {
    expect(gapsOf([[0, '2 a 700 9000']])).toEqual([`1 gap since ${0 - LONGEST_PUBLISH_MS - 700} in all`]);
  });

  test('that comes to a session which is never ready gives a gap in the next session', () => {
    const gaps = gapsOf([[1010, '2 a 700 9000']], (it, first) => {
      it.at(1000, () => {
        first.unsubscribe();
        it.link.outcome = () => NEVER;
        const session = it.start();
        it.at(100, () => {
          session.unsubscribe();
          it.link.outcome = () => replyOf(it);
          it.start();
        });
      });
    });
    expect(gaps.filter((line) => line.endsWith('all'))).toEqual([`1101 gap since ${1000 - LONGEST_PUBLISH_MS - 700} in all`]);
  });

  test('gives its gap before the next message', () => {
    scene((it) => {
      it.join('tea');
      it.start();
      it.at(2000, () => {
        it.link.say('test:misplaced', '2 a 700 9000');
        it.link.say('test:room:tea', 'later');
      });
      expect(
        it
          .until(2001)
          .slice(-2)
          .map((line) => line.replace(/ since.*/, '')),
      ).toEqual(['2000 gap', '2000 received tea']);
    });
  });

  test('gives a gap, and its repetition gives none', () => {
    expect(
      gapsOf([
        [2000, '2 a 700 9000'],
        [2000, '2 b 900 9000'],
        [2500, '2 a 1200 9000'],
      ]),
    ).toEqual([`2000 gap since ${provenMs - 700} in all`, `2000 gap since ${provenMs - 900} in all`]);
  });

  test('of version 1 is read, too', () => {
    expect(gapsOf([[2000, '70 90']])).toEqual(['2000 gap since 70 in all']);
  });

  test.each(['', 'x', '2 a 700', '{"sinceMs":70,"untilMs":90}'])('is ignored if its payload is %j', (payload) => {
    expect(gapsOf([[2000, payload]])).toEqual([]);
  });
});

describe('a wall clock that is set', () => {
  test.each([
    { what: 'back', setByMs: -3_600_000, since: 3001 - 3_600_000 - LONGEST_PUBLISH_MS },
    { what: 'forward', setByMs: 3_600_000, since: 3001 - LONGEST_PUBLISH_MS },
  ])('$what between the last health check and the gap gives the earlier of the two times', ({ setByMs, since }) => {
    scene((it) => {
      it.join('tea');
      const first = it.start();
      it.at(3500, () => {
        it.clock.offMs = setByMs;
        first.unsubscribe();
        it.start();
      });
      expect(it.until(3600).filter((line) => line.includes('gap'))).toEqual([`3501 gap since ${since} in tea`]);
    });
  });
});

describe('rooms that have moved here from another server', () => {
  test('get one gap together', () => {
    scene((it) => {
      it.start();
      it.at(100, () => {
        it.subscription.subscribe('tea', { ms: 70, wallMs: 70 }).subscribe();
        it.subscription.subscribe('milk', { ms: 50, wallMs: 50 }).subscribe();
      });
      expect(it.until(200).slice(-1)).toEqual(['101 gap since -325 in tea,milk']);
    });
  });
});
