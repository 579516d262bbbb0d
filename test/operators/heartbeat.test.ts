import { describe, expect, test } from '@jest/globals';
import { dematerialize, interval, map, materialize, merge, take, type Observable } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { HeartbeatTimeoutError, heartbeat, type HeartbeatOptions, type Reading } from '../../src/operators/heartbeat.js';
import { marbles } from '../support/marbles.js';

type Options = HeartbeatOptions<string, 'p', 't', 's'>;

interface Surroundings {
  readonly firstPingMs?: () => number;
  readonly tick$?: Observable<unknown>;
  /** When the source goes unread; where it is not given, the heartbeat is told of no reading at all. */
  readonly paused$?: Observable<boolean>;
}

/** Production's numbers: a look at the clock each second, a ping each 25 s, 60 s of silence. The first ping comes at 10 s. */
function options({ now }: TestScheduler, firstPingMs = () => 10_000): Options {
  return {
    now,
    firstPingMs,
    pingIntervalMs: 25_000,
    pongTimeoutMs: 60_000,
    ping: 'p',
    isTick: (value) => value === 't',
    isSignOfLife: (value) => value === 's',
  };
}

const TICK = { kind: 'N', value: 't' } as const;

/** A heartbeat on its source and the ticks; ends with its source. */
function alive(scheduler: TestScheduler, { firstPingMs, tick$, paused$ }: Surroundings = {}) {
  // Endless ticks would never let virtual time end where a heartbeat fails to.
  const ticks$ = tick$ ?? interval(1000, scheduler).pipe(take(1000));
  return (source$: Observable<string>) =>
    merge(source$.pipe(materialize()), ticks$.pipe(map(() => TICK))).pipe(
      dematerialize(),
      heartbeat(options(scheduler, firstPingMs), paused$ && reading(paused$, scheduler)),
    );
}

/** A source that is not read from `true` to `false`. */
function reading(paused$: Observable<boolean>, { now }: TestScheduler): Reading {
  let beforeMs = 0;
  let sinceMs: number | undefined;
  const pausedMs = () => beforeMs + (sinceMs === undefined ? 0 : now() - sinceMs);
  paused$.subscribe((paused) => {
    beforeMs = pausedMs();
    sinceMs = paused ? now() : undefined;
  });
  return {
    get pausedMs() {
      return pausedMs();
    },
    look: () => undefined,
  };
}

const IS = { t: true, f: false };
const TIMEOUT: unknown = expect.any(HeartbeatTimeoutError);

describe('heartbeat: values', () => {
  test('are passed on, and complete with the source', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }, scheduler) => {
      const e1 = hot('  -a-b-|');
      const tick$ = cold('------');
      const subs = '    ^----!';
      const expected = '-a-b-|';

      expectObservable(e1.pipe(alive(scheduler, { tick$ }))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(tick$.subscriptions).toBe(subs);
    });
  });

  test('are not passed on if they are ticks, between which nothing happens', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('      5m a|');
      const tick$ = hot('   -t---');
      const expected = '    5m a|';

      // Pings and the timeout were due long ago.
      expectObservable(e1.pipe(alive(scheduler, { tick$ }))).toBe(expected);
    });
  });

  test('are not passed on if they are mere signs of life', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -sas-|');
      const expected = '--a--|';

      expectObservable(e1.pipe(alive(scheduler))).toBe(expected);
    });
  });
});

describe('heartbeat: pings', () => {
  test('come at each interval, the first at its own time', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  30s s 29999ms s 29999ms s 9999ms |         ');
      const expected = '10s p 24999ms p 24999ms p 24999ms p 14999ms |';

      expectObservable(e1.pipe(alive(scheduler))).toBe(expected);
    });
  });

  test('start at once if the random delay is 0', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  27s |');
      const expected = '1s p 24999ms p 999ms |';

      // Due at 0 s and 25 s; the first look is at 1 s.
      expectObservable(e1.pipe(alive(scheduler, { firstPingMs: () => 500 }))).toBe(expected);
    });
  });

  test('come at the first tick after they are due, never before', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  37s |');
      const expected = '11s p 24999ms p 999ms |';

      expectObservable(e1.pipe(alive(scheduler, { firstPingMs: () => 10_001 }))).toBe(expected);
    });
  });

  test('keep their rhythm and are not made up for after missed ticks', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('      40s s 39999ms s 31999ms |');
      const tick$ = hot('   10s i 79999ms i 18999ms i 999ms i 999ms |');
      const expected = '    10s p 79999ms p 19999ms p 1999ms |';

      // Due at 10, 35, 60, 85 and 110 s; looks at 10, 90, 109, 110 and 111 s.
      expectObservable(e1.pipe(alive(scheduler, { tick$ }))).toBe(expected);
    });
  });

  test('come at a tick at which they are exactly due, after missed ticks', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('      30s s 79999ms |');
      const tick$ = hot('   10s i 49999ms i 999ms i 23999ms i');
      const expected = '    10s p 49999ms p 24999ms p 24999ms |';

      // Due at 10, 35, 60 and 85 s; looks at 10, 60, 61 and 85 s.
      expectObservable(e1.pipe(alive(scheduler, { tick$ }))).toBe(expected);
    });
  });

  test('go on whether values come or not', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  10100ms a 24899ms b 999ms |');
      const expected = '10s p 99ms a 24899ms (bp) 996ms |';

      expectObservable(e1.pipe(alive(scheduler))).toBe(expected);
    });
  });
});

describe('heartbeat: the timeout', () => {
  test('errors when no value came for its whole length', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }, scheduler) => {
      const e1 = hot('      -');
      const tick$ = cold('  1s i 33999ms i 23999ms i 999ms i 999ms i');
      const subs = '        ^ 59999ms !';
      const expected = '    35s p 24999ms #';

      // Looks at 1, 35, 59, 60 and 61 s.
      expectObservable(e1.pipe(alive(scheduler, { tick$ }))).toBe(expected, undefined, TIMEOUT);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(tick$.subscriptions).toBe(subs);
    });
  });

  test('comes with the default settings after the second ping, instead of a third', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -');
      const expected = '10s p 24999ms p 24999ms #';

      const error = new HeartbeatTimeoutError('nothing heard for 60000 ms');
      expectObservable(e1.pipe(alive(scheduler))).toBe(expected, undefined, error);
    });
  });

  test.each([
    { what: 'any value', value: 'a', passed: 'a' },
    { what: 'a mere sign of life', value: 's', passed: '-' },
  ])('starts again with $what', ({ value, passed }) => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot(`  20s ${value}`);
      const expected = `20s ${passed} 59999ms #`;

      expectObservable(e1.pipe(alive(scheduler, { firstPingMs: () => 1e9 }))).toBe(expected, undefined, TIMEOUT);
    });
  });

  test('is never early: it comes at the first tick after its end', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  5001ms s');
      const expected = '66s #';

      expectObservable(e1.pipe(alive(scheduler, { firstPingMs: () => 1e9 }))).toBe(expected, undefined, TIMEOUT);
    });
  });

  test('does not come while a value comes every 59 seconds', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot(`  ${'58999ms s '.repeat(10)}|`);
      const expected = `${'59s '.repeat(10)}|`;

      expectObservable(e1.pipe(alive(scheduler, { firstPingMs: () => 1e9 }))).toBe(expected);
    });
  });
});

describe('heartbeat: while the source is not read', () => {
  test('the timeout does not advance', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('      -');
      const paused$ = hot(' 20s t 39999ms f', IS);
      const expected = '    100s #';

      // 20 s of silence before, 40 s after.
      expectObservable(e1.pipe(alive(scheduler, { firstPingMs: () => 1e9, paused$ }))).toBe(expected, undefined, TIMEOUT);
    });
  });

  test('the timeout does not advance during any of several pauses', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('      -');
      const paused$ = hot(' 10s t 9999ms f 9999ms t 29999ms f', IS);
      const expected = '    100s #';

      // Not read from 10 to 20 s and from 30 to 60 s.
      expectObservable(e1.pipe(alive(scheduler, { firstPingMs: () => 1e9, paused$ }))).toBe(expected, undefined, TIMEOUT);
    });
  });

  test('no pause is too long', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('      10m |');
      const paused$ = hot(' 59s t', IS);
      const expected = '    10m |';

      expectObservable(e1.pipe(alive(scheduler, { firstPingMs: () => 1e9, paused$ }))).toBe(expected);
    });
  });

  test('pings go on', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('      90s |');
      const paused$ = hot(' 5s t', IS);
      const expected = '    10s p 24999ms p 24999ms p 24999ms p 4999ms |';

      expectObservable(e1.pipe(alive(scheduler, { paused$ }))).toBe(expected);
    });
  });

  test('a value counts nevertheless: the timeout starts when reading resumes', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('      30s s');
      const paused$ = hot(' 20s t 39999ms f', IS);
      const expected = '    120s #';

      expectObservable(e1.pipe(alive(scheduler, { firstPingMs: () => 1e9, paused$ }))).toBe(expected, undefined, TIMEOUT);
    });
  });

  test('a second pause at the same time changes nothing', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('      -');
      const paused$ = hot(' 10s f 9999ms t 9999ms t 29999ms f 9999ms f', IS);
      const expected = '    100s #';

      // Not read from 20 to 60 s.
      expectObservable(e1.pipe(alive(scheduler, { firstPingMs: () => 1e9, paused$ }))).toBe(expected, undefined, TIMEOUT);
    });
  });
});

describe('heartbeat: the end', () => {
  test('passes an error of the source on and unsubscribes from it', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }, scheduler) => {
      const e1 = hot('  -a-#');
      const tick$ = hot('----');
      const subs = '    ^--!';
      const expected = '-a-#';

      expectObservable(e1.pipe(alive(scheduler, { tick$ }))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(tick$.subscriptions).toBe(subs);
    });
  });

  test('unsubscribes from the source', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }, scheduler) => {
      const e1 = hot('   -a---a-');
      const tick$ = hot('-------');
      const subs = '     ^--!   ';
      const expected = ' -a-----';

      expectObservable(e1.pipe(alive(scheduler, { tick$ })), subs).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(tick$.subscriptions).toBe(subs);
    });
  });

  test('unsubscribes when its subscriber unsubscribes at a ping', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }, scheduler) => {
      const e1 = hot('  -');
      const subs = '    ^ 9999ms !';
      const expected = '10s (p|)';

      expectObservable(e1.pipe(alive(scheduler), take(1))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
    });
  });

  test('each subscriber has its own clock', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('   -');
      const first = '    ^';
      const second = '   7s ^';
      const expected1 = '60s #';
      const expected2 = '67s #';

      const alive$: Observable<string> = e1.pipe(alive(scheduler, { firstPingMs: () => 1e9 }));
      expectObservable(alive$, first).toBe(expected1, undefined, TIMEOUT);
      expectObservable(alive$, second).toBe(expected2, undefined, TIMEOUT);
    });
  });

  test('each subscriber gets its first ping after its own random delay', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('   30s |');
      const expected1 = '10s p 19999ms |';
      const expected2 = '20s p 9999ms |';

      const chances = [10_000, 20_000];
      const alive$ = e1.pipe(alive(scheduler, { firstPingMs: () => chances.shift() ?? 1e9 }));
      expectObservable(alive$).toBe(expected1);
      expectObservable(alive$).toBe(expected2);
    });
  });
});
