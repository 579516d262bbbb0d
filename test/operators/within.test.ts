import { describe, expect, test } from '@jest/globals';
import { NEVER, Observable, of, type SchedulerLike } from 'rxjs';
import { served$, within } from '../../src/operators/within.js';
import { marbles, virtualRuntime } from '../support/marbles.js';

const late = () => new Error('late');

describe('within', () => {
  test('passes a source that completes in time, and leaves no timer behind', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }, scheduler) => {
      const e1 = hot('  -a-b---|');
      const e1subs = '  ^------!';
      const expected = '-a-b---|';

      expectObservable(e1.pipe(within({ ms: 8, time: virtualRuntime(scheduler), late }))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
    });
  });

  test('errors when the source is late, whatever it emitted before', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }, scheduler) => {
      const e1 = hot('  -a-b-------');
      const e1subs = '  ^-------!  ';
      const expected = '-a-b----#  ';

      const result = e1.pipe(within({ ms: 8, time: virtualRuntime(scheduler), late }));
      expectObservable(result).toBe(expected, undefined, late());
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
    });
  });

  test("passes the source's own error on", () => {
    marbles(({ hot, expectObservable, expectSubscriptions }, scheduler) => {
      const e1 = hot('  -a-#');
      const e1subs = '  ^--!';
      const expected = '-a-#';

      expectObservable(e1.pipe(within({ ms: 8, time: virtualRuntime(scheduler), late }))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
    });
  });

  test('starts to wait again as long as there is progress', () => {
    marbles(({ cold, hot, expectObservable }, scheduler) => {
      let progress = 0;
      cold('            --p-------p-------------').subscribe(() => (progress += 1));
      const e1 = hot('  ------------------------');
      const expected = '------------------------#';

      const result = e1.pipe(within({ ms: 8, time: virtualRuntime(scheduler), progress: () => progress, late }));
      expectObservable(result).toBe(expected, undefined, late());
    });
  });

  test('waits at most mostWaits times per subscription, whatever progress there is', () => {
    marbles(({ cold, hot, expectObservable }, scheduler) => {
      let progress = 0;
      cold('            -pppppppppppppppppppppppppppppppp').subscribe(() => (progress += 1));
      const e1 = hot('  ------------------------');
      const expected = '----------------#';
      const later = '   ----^';
      const again = '   --------------------#';

      const options = { ms: 8, time: virtualRuntime(scheduler), progress: () => progress, mostWaits: 2, late };
      const result = e1.pipe(within(options));
      expectObservable(result).toBe(expected, undefined, late());
      expectObservable(result, later).toBe(again, undefined, late());
    });
  });

  test('unsubscribes from the source and stops waiting when it is unsubscribed', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }, scheduler) => {
      const e1 = hot('  -a---------');
      const e1subs = '  ^---!      ';
      const unsub = '   ^---!      ';
      const expected = '-a---------';

      expectObservable(e1.pipe(within({ ms: 8, time: virtualRuntime(scheduler), late })), unsub).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
    });
  });
});

describe('served$', () => {
  test('emits at the end of a turn of the event loop, in which input is read', () => {
    marbles(({ cold, expectObservable }, scheduler) => {
      const turnEnd$ = cold('--(t|)');
      const expected = '      ----------(t|)';

      expectObservable(served$(8, { scheduler, turnEnd$ })).toBe(expected);
    });
  });

  test('counts a stall as a quarter of the wait, however long it was', () => {
    const { scheduler, runFor } = stallingScheduler();
    let done = false;
    served$(400, { scheduler, turnEnd$: of(undefined) }).subscribe(() => (done = true));
    runFor(100);
    runFor(60_000);
    expect(done).toBe(false);
    runFor(100);
    expect(done).toBe(false);
    runFor(100);
    expect(done).toBe(true);
  });

  test('stops its timers when it is unsubscribed', () => {
    const { scheduler, pending } = stallingScheduler();
    within({ ms: 400, time: { scheduler, turnEnd$: NEVER }, late })(new Observable<never>())
      .subscribe()
      .unsubscribe();
    expect(pending()).toBe(0);
  });
});

/** Timers as Node has them: one that is overdue fires once, and the next is counted from then. */
function stallingScheduler() {
  let nowMs = 0;
  const timers = new Map<object, { dueMs: number; fire: () => void }>();
  const scheduler: SchedulerLike = {
    now: () => nowMs,
    schedule(work, delayMs = 0, state) {
      const action = {
        schedule(next: never, againMs = 0) {
          timers.set(action, {
            dueMs: nowMs + againMs,
            fire: () => {
              work.call(action as never, next);
            },
          });
          return action;
        },
      };
      action.schedule(state as never, delayMs);
      const stop = new Observable(() => () => timers.delete(action)).subscribe();
      Object.assign(action, { unsubscribe: () => timers.delete(action) });
      return stop;
    },
  };
  const runFor = (ms: number) => {
    nowMs += ms;
    for (const [action, { dueMs, fire }] of [...timers]) {
      if (dueMs > nowMs) continue;
      timers.delete(action);
      fire();
    }
  };
  return { scheduler, runFor, pending: () => timers.size };
}
