import { describe, expect, test } from '@jest/globals';
import { NEVER, Subject, tap, timer } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { drain, type Drainable, type DrainOptions } from '../../src/server/drain.js';
import type { Drain } from '../../src/connection/transport.js';
import { marbles, virtualRuntime } from '../support/marbles.js';

interface Told {
  readonly atMs: number;
  readonly what: Drain | 'terminate';
}

/** The highest number that chance can throw. */
const ALMOST_ONE = 1 - 2 ** -53;

/** Connections that note what they are told; an obedient one ends when it was ordered to, a stubborn one only when it is terminated. */
class Crowd {
  readonly connections = new Set<Drainable>();
  readonly ended$ = new Subject<void>();
  readonly told: Told[] = [];
  readonly #scheduler: TestScheduler;

  constructor(scheduler: TestScheduler) {
    this.#scheduler = scheduler;
  }

  come(count: number, temper: 'obedient' | 'stubborn' = 'obedient'): this {
    for (let index = 0; index < count; index += 1) this.#comeOne(temper);
    return this;
  }

  get orders(): Drain[] {
    return this.told.flatMap(({ what }) => (what === 'terminate' ? [] : [what]));
  }

  get terminations(): number[] {
    return this.told.flatMap(({ what, atMs }) => (what === 'terminate' ? [atMs] : []));
  }

  #comeOne(temper: 'obedient' | 'stubborn'): void {
    const end = () => {
      if (this.connections.delete(connection)) this.ended$.next();
    };
    const connection = {
      order: (what: Drain) => {
        this.told.push({ atMs: this.#scheduler.now(), what });
        if (temper === 'obedient') this.#scheduler.schedule(end, what.closeInMs);
      },
      terminate: () => {
        this.told.push({ atMs: this.#scheduler.now(), what: 'terminate' });
        end();
      },
    };
    this.connections.add(connection);
  }
}

interface Setting {
  readonly chance?: number;
  readonly delayMs?: number;
  readonly timeoutMs?: number;
}

function options(
  crowd: Crowd,
  scheduler: TestScheduler,
  { chance, delayMs = 0, timeoutMs = 10_000 }: Setting = {},
): DrainOptions {
  const { connections, ended$ } = crowd;
  return { connections, ended$, delayMs, timeoutMs, runtime: virtualRuntime(scheduler, chance) };
}

/** Drains so many connections and returns what each was ordered. */
function ordersTo(count: number, { chance, timeoutMs = 10_000 }: Setting): Drain[] {
  const orders: Drain[] = [];
  const connections = new Set<Drainable>();
  for (let index = 0; index < count; index += 1) {
    connections.add({ order: (order) => orders.push(order), terminate: () => undefined });
  }
  marbles(({ flush }, scheduler) => {
    const ended$ = new Subject<void>();
    drain({ connections, ended$, delayMs: 0, timeoutMs, runtime: virtualRuntime(scheduler, chance) }).subscribe();
    flush();
  });
  return orders;
}

describe('a drain', () => {
  test('orders every connection to close after the delay, and not before', () => {
    marbles(({ flush }, scheduler) => {
      const crowd = new Crowd(scheduler).come(3);
      drain(options(crowd, scheduler, { delayMs: 5000 })).subscribe();
      flush();
      expect(crowd.told.map(({ atMs }) => atMs)).toEqual([5000, 5000, 5000]);
      expect(crowd.orders.map(({ kind }) => kind)).toEqual(['drain', 'drain', 'drain']);
    });
  });

  test('does nothing before it is subscribed to', () => {
    marbles(({ flush }, scheduler) => {
      const crowd = new Crowd(scheduler).come(3);
      drain(options(crowd, scheduler));
      flush();
      expect(crowd.told).toEqual([]);
    });
  });

  test('orders those too that came, and not those that went, during the delay', () => {
    marbles(({ hot, flush }, scheduler) => {
      const crowd = new Crowd(scheduler).come(2);
      const [first] = crowd.connections;
      hot('-g-c').subscribe((what) => {
        if (what === 'c') crowd.come(1);
        else if (first) crowd.connections.delete(first);
      });
      drain(options(crowd, scheduler, { delayMs: 10 })).subscribe();
      flush();
      expect(crowd.orders).toHaveLength(2);
    });
  });

  test('completes when the last connection has ended', () => {
    marbles(({ expectObservable }, scheduler) => {
      const crowd = new Crowd(scheduler).come(200);
      const expected = '1s 100ms |';

      // Each closes 0.5 × 200 ms after the order.
      expectObservable(drain(options(crowd, scheduler, { delayMs: 1000, chance: 0.5 }))).toBe(expected);
    });
  });

  test('lets the pod stop what it does when the delay is over, before any connection is told, and waits for that', () => {
    marbles(({ cold, expectObservable }, scheduler) => {
      const crowd = new Crowd(scheduler).come(1);
      const closing$ = cold<never>('500ms |').pipe(
        tap({ subscribe: () => crowd.told.push({ atMs: scheduler.now(), what: 'terminate' }) }),
      );
      expectObservable(drain({ ...options(crowd, scheduler, { delayMs: 1000 }), closing$ })).toBe('1500ms |');
      scheduler.flush();
      expect(crowd.told.map(({ atMs, what }) => [atMs, what === 'terminate' ? 'stops' : what.kind])).toEqual([
        [1000, 'stops'],
        [1000, 'drain'],
      ]);
    });
  });

  test('does not wait longer than its timeout for what the pod stops', () => {
    marbles(({ expectObservable }, scheduler) => {
      const crowd = new Crowd(scheduler).come(1);
      const setting = options(crowd, scheduler, { delayMs: 1000, timeoutMs: 3000 });
      expectObservable(drain({ ...setting, closing$: NEVER })).toBe('4s |');
    });
  });

  test('completes after the delay where there is no connection', () => {
    marbles(({ expectObservable }, scheduler) => {
      const crowd = new Crowd(scheduler);
      const expected = '3s |';

      expectObservable(drain(options(crowd, scheduler, { delayMs: 3000 }))).toBe(expected);
    });
  });

  test('waits out the delay though the last connection ends before', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const crowd = new Crowd(scheduler).come(1);
      const expected = '3s |';

      hot('-g').subscribe(() => {
        crowd.connections.clear();
        crowd.ended$.next();
      });
      expectObservable(drain(options(crowd, scheduler, { delayMs: 3000 }))).toBe(expected);
    });
  });

  test('terminates at the end of the timeout, which follows the delay, those that are left, and then completes', () => {
    marbles(({ expectObservable, flush }, scheduler) => {
      const crowd = new Crowd(scheduler).come(5).come(2, 'stubborn');
      const expected = '15s |';

      expectObservable(drain(options(crowd, scheduler, { delayMs: 5000, timeoutMs: 10_000 }))).toBe(expected);
      flush();
      expect(crowd.orders).toHaveLength(7);
      expect(crowd.terminations).toEqual([15_000, 15_000]);
    });
  });

  test('terminates nobody where all end in time, even the moment before', () => {
    marbles(({ expectObservable, flush }, scheduler) => {
      const crowd = new Crowd(scheduler).come(1, 'stubborn');
      const expected = '9999ms |';

      scheduler.schedule(() => {
        crowd.connections.clear();
        crowd.ended$.next();
      }, 9999);
      expectObservable(drain(options(crowd, scheduler))).toBe(expected);
      flush();
      expect(crowd.terminations).toEqual([]);
    });
  });

  test('terminates those too that came after the order', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const crowd = new Crowd(scheduler).come(1, 'stubborn');
      const expected = '10s |';

      hot('-c').subscribe(() => {
        crowd.come(1);
      });
      expectObservable(drain(options(crowd, scheduler))).toBe(expected);
      flush();
      expect(crowd.orders).toHaveLength(1);
      expect(crowd.terminations).toEqual([10_000, 10_000]);
    });
  });

  test('goes on waiting for terminated connections that end later', () => {
    marbles(({ expectObservable, flush }, scheduler) => {
      const connections = new Set<Drainable>();
      const ended$ = new Subject<void>();
      const slow = {
        order: () => undefined,
        terminate: () => {
          scheduler.schedule(() => {
            connections.delete(slow);
            ended$.next();
          }, 7);
        },
      };
      connections.add(slow);
      const expected = '10007ms |';

      const runtime = virtualRuntime(scheduler);
      expectObservable(drain({ connections, ended$, delayMs: 0, timeoutMs: 10_000, runtime })).toBe(expected);
      flush();
    });
  });

  test.each([
    { when: 'during the delay', unsub: '-!', orders: 0 },
    { when: 'after the order', unsub: ' 2s !', orders: 1 },
  ])('stops when it is unsubscribed from $when', ({ unsub, orders }) => {
    marbles(({ expectObservable, flush }, scheduler) => {
      const crowd = new Crowd(scheduler).come(1, 'stubborn');

      expectObservable(drain(options(crowd, scheduler, { delayMs: 1000 })), unsub).toBe('-');
      flush();
      expect(crowd.orders).toHaveLength(orders);
      expect(crowd.terminations).toEqual([]);
      expect(crowd.ended$.observed).toBe(false);
    });
  });
});

describe('when a drain has a connection close', () => {
  test.each([
    { chance: 0, count: 3, closeInMs: 0, why: 'the luckiest at once' },
    { chance: 0.5, count: 200, closeInMs: 100, why: 'half of one per millisecond' },
    { chance: 0.5, count: 7999, closeInMs: 3999.5, why: 'one per millisecond, as long as that is within 80 % of the timeout' },
    { chance: 0.5, count: 10_000, closeInMs: 4000, why: 'no later than within 80 % of the timeout' },
  ])('of $count, chance $chance: $why', ({ chance, count, closeInMs }) => {
    const orders = ordersTo(count, { chance, timeoutMs: 10_000 });
    expect(orders).toHaveLength(count);
    expect(new Set(orders.map((order) => order.closeInMs))).toEqual(new Set([closeInMs]));
  });

  test.each([100, 10_000, 30_000])('is within 80 %% of a timeout of %d ms for the unluckiest too', (timeoutMs) => {
    for (const { closeInMs } of ordersTo(5000, { chance: ALMOST_ONE, timeoutMs })) {
      expect(closeInMs).toBeLessThanOrEqual(0.8 * timeoutMs);
    }
  });

  test('is a matter of chance, for each its own', () => {
    marbles(({ flush }, scheduler) => {
      const crowd = new Crowd(scheduler).come(4);
      const throws = [0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6];
      const runtime = { ...virtualRuntime(scheduler), random: () => throws.shift() ?? 0 };
      drain({ ...options(crowd, scheduler), runtime }).subscribe();
      flush();
      expect(new Set(crowd.orders.map(({ closeInMs }) => closeInMs)).size).toBe(4);
      expect(new Set(crowd.orders.map(({ reconnectInMs }) => reconnectInMs)).size).toBe(4);
    });
  });
});

describe('a drain of many', () => {
  /** Turns of a hundredth of a second: what is told in each. */
  function turns(count: number, settings: Setting, meanwhile: (crowd: Crowd, nth: number) => void = () => undefined): Drain[][] {
    const told: Drain[][] = [];
    marbles(({ flush }, scheduler) => {
      const crowd = new Crowd(scheduler).come(count, 'stubborn');
      const turnEnd$ = timer(10, scheduler).pipe(
        tap(() => {
          meanwhile(crowd, told.length);
        }),
      );
      const runtime = { ...virtualRuntime(scheduler, settings.chance), turnEnd$ };
      drain({ ...options(crowd, scheduler, settings), runtime }).subscribe();
      flush();
      for (const { what, atMs } of crowd.told) if (what !== 'terminate') (told[atMs / 10] ??= []).push(what);
    });
    return told;
  }

  test('tells two hundred of them in each turn of the event loop', () => {
    expect(turns(500, {}).map(({ length }) => length)).toEqual([200, 200, 100]);
  });

  test('has those that are told later close at the moments that they would have had', () => {
    const closes = turns(500, { chance: 0.5 }).map((told) => new Set(told.map(({ closeInMs }) => closeInMs)));
    expect(closes).toEqual([new Set([250]), new Set([240]), new Set([230])]);
  });

  test('has those close at once whose moment has passed', () => {
    const closes = turns(500, { chance: 0 }).map((told) => new Set(told.map(({ closeInMs }) => closeInMs)));
    expect(closes).toEqual([new Set([0]), new Set([0]), new Set([0])]);
  });

  test('tells nobody who has gone before its turn', () => {
    const leave = ({ connections }: Crowd) => {
      const last = [...connections].at(-1);
      if (last) connections.delete(last);
    };
    expect(turns(500, {}, leave).map(({ length }) => length)).toEqual([200, 200, 98]);
  });

  test('tells those first who close last, so that closes hold up nobody', () => {
    marbles(({ flush }, scheduler) => {
      const crowd = new Crowd(scheduler).come(5, 'stubborn');
      const throws = [0.2, 0.8, 0.4, 0.9, 0.1];
      const runtime = { ...virtualRuntime(scheduler), random: () => throws.shift() ?? 0 };
      drain({ ...options(crowd, scheduler), runtime }).subscribe();
      flush();
      expect(crowd.orders.map(({ closeInMs }) => closeInMs)).toEqual([4.5, 4, 2, 1, 0.5]);
    });
  });

  test('stops telling when it is unsubscribed from', () => {
    marbles(({ expectObservable, flush }, scheduler) => {
      const crowd = new Crowd(scheduler).come(500, 'stubborn');
      const runtime = { ...virtualRuntime(scheduler), turnEnd$: timer(10, scheduler) };
      expectObservable(drain({ ...options(crowd, scheduler), runtime }), '15ms !').toBe('-');
      flush();
      expect(crowd.orders).toHaveLength(400);
    });
  });
});

describe('what a drain has a client wait before it comes back', () => {
  test.each([
    { chance: 0, count: 1, reconnectInMs: 0 },
    { chance: 0.5, count: 1, reconnectInMs: 2500 },
    { chance: ALMOST_ONE, count: 1, reconnectInMs: 5000 },
    { chance: ALMOST_ONE, count: 5000, reconnectInMs: 5000 },
    { chance: ALMOST_ONE, count: 6000, reconnectInMs: 6000 },
    { chance: 0, count: 6000, reconnectInMs: 0 },
    { chance: 0.3, count: 3, reconnectInMs: 1500 },
  ])('is $reconnectInMs ms for one of $count, chance $chance', ({ chance, count, reconnectInMs }) => {
    const orders = ordersTo(count, { chance });
    expect(new Set(orders.map((order) => order.reconnectInMs))).toEqual(new Set([reconnectInMs]));
  });
});
