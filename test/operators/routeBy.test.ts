import { describe, expect, test } from '@jest/globals';
import {
  NEVER,
  Observable,
  Subject,
  concatMap,
  finalize,
  last,
  map,
  merge,
  mergeMap,
  mergeWith,
  of,
  take,
  takeUntil,
  tap,
  throwError,
  type OperatorFunction,
} from 'rxjs';
import { routeBy } from '../../src/operators/routeBy.js';
import { marbles } from '../support/marbles.js';

type Operator = OperatorFunction<string, string>;

/** Values are letters: those of one key are a letter's two cases, 'p' passes where something does. */
const key = (value: string) => value.toLowerCase();

const fromRoute = (at: string): Operator => map((value) => `${at}:${value}`);

/** A route that fails with each capital. */
const fragile: Operator = map((value) => {
  if (value !== value.toLowerCase()) throw new Error('capital');
  return value;
});

const recover = (error: unknown, at: string, value: string | undefined) => `${String(error)} in ${at} with ${value ?? 'nothing'}`;

describe('routeBy', () => {
  test('sends each value through the operator of its key', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const values = { v: 'a:a', w: 'b:b', x: 'a:A' };
      const e1 = hot('  -a-b-A-|');
      const subs = '    ^------!';
      const expected = '-v-w-x-|';

      expectObservable(e1.pipe(routeBy({ key, route: fromRoute }))).toBe(expected, values);
      expectSubscriptions(e1.subscriptions).toBe(subs);
    });
  });

  test('merges what comes out, one route not waiting for another', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-A-----------|');
      const a1 = cold(' ----(x|)          ');
      const b1 = cold(' -(y|)             ');
      const a1subs = ['  -^---!', '-----^---!'];
      const b1subs = '  ---^!             ';
      const expected = '----yx---x-------|';

      const route = (at: string): Operator => concatMap(() => (at === 'a' ? a1 : b1));
      expectObservable(e1.pipe(routeBy({ key, route }))).toBe(expected);
      expectSubscriptions(a1.subscriptions).toBe(a1subs);
      expectSubscriptions(b1.subscriptions).toBe(b1subs);
    });
  });

  test('makes a route with the first value of its key, and once', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-A-b-a-|');
      const made = '    -a---b----';

      const made$ = new Subject<string>();
      const route = (at: string): Operator => {
        made$.next(at);
        return map((value) => value);
      };
      expectObservable(made$).toBe(made);
      expectObservable(e1.pipe(routeBy({ key, route }))).toBe('-a-A-b-a-|');
    });
  });

  test('lets values that need no route go by unchanged', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { a: 'a', p: 'p', x: 'a:a' };
      const e1 = hot('  -a-p-a-|', values);
      const expected = '-x-p-x-|';

      const passes = (value: string): value is 'p' => value === 'p';
      expectObservable(e1.pipe(routeBy({ passes, key, route: fromRoute }))).toBe(expected, values);
    });
  });
});

describe('routeBy: the end', () => {
  test('completes with the source where no route goes on', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  ---|');
      const subs = '    ^--!';
      const expected = '---|';

      expectObservable(e1.pipe(routeBy({ key, route: fromRoute }))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
    });
  });

  test('completes the routes with the source, and itself with the last of them', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-|       ');
      const e1subs = '  ^----!       ';
      const a1 = cold(' -------(x|)  ');
      const a1subs = '  -^------!    ';
      const b1 = cold(' -(y|)        ');
      const b1subs = '  ---^!        ';
      const expected = '----y---(x|) ';

      const route = (at: string): Operator => mergeMap(() => (at === 'a' ? a1 : b1));
      expectObservable(e1.pipe(routeBy({ key, route }))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(a1.subscriptions).toBe(a1subs);
      expectSubscriptions(b1.subscriptions).toBe(b1subs);
    });
  });

  test('lets a route say something last when the source completes', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { a: 'a', b: 'b', x: 'end of a', y: 'end of b' };
      const e1 = hot('  -a-b-|   ');
      const expected = '-a-b-(xy|)';

      const route =
        (at: string): Operator =>
        (value$) =>
          new Observable((subscriber) =>
            value$.subscribe({
              next: (value) => {
                subscriber.next(value);
              },
              complete: () => {
                subscriber.next(`end of ${at}`);
                subscriber.complete();
              },
            }),
          );
      expectObservable(e1.pipe(routeBy({ key, route }))).toBe(expected, values);
    });
  });

  test('ignores the later values of a route that completed; the others go on', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-A-B-|');
      const expected = '-a-b---B-|';

      const route = (at: string): Operator => (at === 'a' ? take(1) : take(2));
      expectObservable(e1.pipe(routeBy({ key, route }))).toBe(expected);
    });
  });

  test('passes an error of the source on at once and unsubscribes from the routes', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a---#    ');
      const e1subs = '  ^----!    ';
      const a1 = cold(' -x-----x-');
      const a1subs = '  -^---!    ';
      const expected = '--x--#    ';

      expectObservable(e1.pipe(routeBy({ key, route: () => mergeMap(() => a1), recover }))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(a1.subscriptions).toBe(a1subs);
    });
  });

  test('unsubscribes from the source and from each route', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-----');
      const unsub = '   -----!   ';
      const e1subs = '  ^----!   ';
      const a1 = cold(' -x-----x ');
      const a1subs = ['  -^---!   ', '---^-!   '];
      const expected = '--x-x----';

      expectObservable(e1.pipe(routeBy({ key, route: () => mergeMap(() => a1) })), unsub).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(a1.subscriptions).toBe(a1subs);
    });
  });
});

describe("routeBy: a route's error", () => {
  const boom = new Error('capital');

  test("is everybody's where there is no way to recover", () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -b-a-A-a-');
      const subs = '    ^----!   ';
      const b1 = cold(' -y-----y-');
      const b1subs = '  -^---!   ';
      const expected = '--ya-#   ';

      const route = (at: string): Operator => (at === 'b' ? mergeMap(() => b1) : fragile);
      expectObservable(e1.pipe(routeBy({ key, route }))).toBe(expected, undefined, boom);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(b1.subscriptions).toBe(b1subs);
    });
  });

  test('becomes a value and takes no other route with it', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const values = { y: 'y', a: 'a', x: 'Error: capital in a with A' };
      const e1 = hot('  -b-a-A-a-|');
      const subs = '    ^--------!';
      const b1 = cold(' -y-----(y|)');
      const b1subs = '  -^------! ';
      const expected = '--ya-x-ay|';

      const route = (at: string): Operator => (at === 'b' ? mergeMap(() => b1) : fragile);
      expectObservable(e1.pipe(routeBy({ key, route, recover }))).toBe(expected, values);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(b1.subscriptions).toBe(b1subs);
    });
  });

  test('ends that route: the next value of its key makes a new one', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { a: 'a', x: 'Error: capital in a with A' };
      const e1 = hot('  -a-A-a-A-|');
      const made = '    -m---m----';
      const expected = '-a-x-a-x-|';

      const made$ = new Subject<string>();
      const route = () => {
        made$.next('m');
        return fragile;
      };
      expectObservable(made$).toBe(made);
      expectObservable(e1.pipe(routeBy({ key, route, recover }))).toBe(expected, values);
    });
  });

  test('is told without a value where none was being routed', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const values = { x: 'error in a with nothing' };
      const e1 = hot('  -a----|');
      const a1 = cold(' ---#   ');
      const a1subs = '  -^--!  ';
      const expected = '----x-|';

      expectObservable(e1.pipe(routeBy({ key, route: () => mergeMap(() => a1), recover }))).toBe(expected, values);
      expectSubscriptions(a1.subscriptions).toBe(a1subs);
    });
  });

  test('after the source completed is recovered from too, and then it completes', () => {
    marbles(({ hot, cold, expectObservable }) => {
      const values = { x: 'error in a with nothing' };
      const e1 = hot('  -a-|    ');
      const a1 = cold(' -----#  ');
      const expected = '------(x|)';

      expectObservable(e1.pipe(routeBy({ key, route: () => mergeMap(() => a1), recover }))).toBe(expected, values);
    });
  });

  test.each([
    {
      when: 'while it is made',
      route: (): Operator => {
        throw new Error('capital');
      },
    },
    {
      when: 'while it is applied',
      route: (): Operator => () => {
        throw new Error('capital');
      },
    },
    { when: 'while it is subscribed to', route: (): Operator => () => throwError(() => new Error('capital')) },
  ])('$when counts as any other', ({ route }) => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const values = { x: 'Error: capital in a with a', y: 'Error: capital in b with b' };
      const e1 = hot('  -a-b-a-|');
      const subs = '    ^------!';
      const expected = '-x-y-x-|';
      const fails = '   -#      ';

      expectObservable(e1.pipe(routeBy({ key, route, recover }))).toBe(expected, values);
      expectObservable(e1.pipe(routeBy({ key, route }))).toBe(fails, undefined, boom);
      expectSubscriptions(e1.subscriptions).toBe([subs, '^!']);
    });
  });
});

describe("routeBy: what a route's teardown throws", () => {
  const spoiled: Operator = (value$) =>
    value$.pipe(
      fragile,
      finalize(() => {
        throw new Error('teardown');
      }),
    );

  /** Notes the keys of which it is told. */
  function noting() {
    const told: string[] = [];
    return { told, teardownFailed: (_: unknown, at: string) => told.push(at) };
  }

  test('is told, and keeps no other route from its own teardown', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions, flush }) => {
      const e1 = hot('  -a-b-----');
      const unsub = '   -----!   ';
      const e1subs = '  ^----!   ';
      const b1 = cold('    -x-----x ');
      const b1subs = '  ---^-!   ';
      const expected = '-a--x----';

      const { told, teardownFailed } = noting();
      const route = (at: string): Operator => (at === 'a' ? spoiled : mergeMap(() => b1));
      expectObservable(e1.pipe(routeBy({ key, route, teardownFailed })), unsub).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(b1.subscriptions).toBe(b1subs);
      flush();
      expect(told).toEqual(['a']);
    });
  });

  test('does not stand in the way of its error, nor of the next route of its key', () => {
    marbles(({ hot, expectObservable, flush }) => {
      const values = { x: 'Error: capital in a with A', a: 'a' };
      const e1 = hot('  -A-a-|');
      const expected = '-x-a-|';

      const { told, teardownFailed } = noting();
      expectObservable(e1.pipe(routeBy({ key, route: () => spoiled, recover, teardownFailed }))).toBe(expected, values);
      flush();
      expect(told).toEqual(['a', 'a']);
    });
  });

  test('is thrown on where nobody is to be told', () => {
    const subscription = of('a')
      .pipe(mergeWith(NEVER), routeBy({ key, route: () => spoiled }))
      .subscribe();
    expect(() => {
      subscription.unsubscribe();
    }).toThrow('teardown');
  });
});

describe('routeBy: a mark', () => {
  const mark = (result: string, at: string, value: string | undefined) => `${result} of ${at} with ${value ?? 'nothing'}`;

  test('is put on what comes out: whose it is, and which value was on its way', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { v: 'a:a of a with a', w: 'b:B of b with B' };
      const e1 = hot('  -a-B-|');
      const expected = '-v-w-|';

      expectObservable(e1.pipe(routeBy({ key, route: fromRoute, mark }))).toBe(expected, values);
    });
  });

  test('names no value for what comes later', () => {
    marbles(({ hot, cold, expectObservable }) => {
      const values = { x: 'x of a with nothing' };
      const e1 = hot('  -a------|');
      const a1 = cold(' --x|     ');
      const expected = '---x----|';

      expectObservable(e1.pipe(routeBy({ key, route: () => mergeMap(() => a1), mark }))).toBe(expected, values);
    });
  });

  test('names no value for what comes while one is on its way to another route', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { a: 'a of a with a', o: 'o of a with nothing', b: 'b of b with b' };
      const e1 = hot('  -a---b---|');
      const expected = '-a---(ob)|';

      const other$ = new Subject<string>();
      const route = (at: string): Operator =>
        at === 'a'
          ? (value$) => merge(value$, other$.pipe(takeUntil(value$.pipe(last(null, '')))))
          : tap(() => {
              other$.next('o');
            });
      expectObservable(e1.pipe(routeBy({ key, route, mark }))).toBe(expected, values);
    });
  });

  test('is not put on what a route’s error becomes', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { x: 'Error: capital in a with A' };
      const e1 = hot('  -A-|');
      const expected = '-x-|';

      expectObservable(e1.pipe(routeBy({ key, route: () => fragile, recover, mark }))).toBe(expected, values);
    });
  });

  test('of a value on its way to another route, an error names none either', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { a: 'a', x: 'Error: other in a with nothing', b: 'b' };
      const e1 = hot('  -a---b---|');
      const expected = '-a---(xb)|';

      const other$ = new Subject<never>();
      const route = (at: string): Operator =>
        at === 'a'
          ? (value$) => merge(value$, other$)
          : tap(() => {
              other$.error(new Error('other'));
            });
      expectObservable(e1.pipe(routeBy({ key, route, recover }))).toBe(expected, values);
    });
  });
});

describe('routeBy: values that cause others while they are routed', () => {
  /** The route of 'a' causes a 'b' before it deals with its own value. */
  function causing(e1: Observable<string>) {
    const source$ = new Subject<string>();
    e1.subscribe(source$);
    const cause = tap((value: string) => {
      if (key(value) === 'a') source$.next('b');
    });
    return { source$, route: (): Operator => (value$) => value$.pipe(cause, fragile) };
  }

  test('find them sent through their own routes', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a----|');
      const expected = '-(ba)-|';

      const { source$, route } = causing(e1);
      expectObservable(source$.pipe(routeBy({ key, route }))).toBe(expected);
    });
  });

  test('are still the ones to be told of when their own route fails', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { b: 'b', x: 'Error: capital in a with A' };
      const e1 = hot('  -A----|');
      const expected = '-(bx)-|';

      const { source$, route } = causing(e1);
      expectObservable(source$.pipe(routeBy({ key, route, recover }))).toBe(expected, values);
    });
  });
});
