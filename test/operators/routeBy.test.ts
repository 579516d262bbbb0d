import { describe, test } from '@jest/globals';
import { Observable, Subject, concatMap, last, map, merge, mergeMap, take, takeUntil, tap } from 'rxjs';
import { routeBy } from '../../src/operators/routeBy.js';
import { marbles } from '../support/marbles.js';
import { fragile, fromRoute, key, recover, type Operator } from './letter-routes.js';

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

  test('merges the results, without one route waiting for another', () => {
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

  test('makes a route once, at the first value of its key', () => {
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

  test('passes values that need no route on unchanged', () => {
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
  test('completes with the source when no route goes on', () => {
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

  test('passes on what a route emits when the source completes', () => {
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

describe('routeBy: a mark', () => {
  const mark = (result: string, at: string, value: string | undefined) => `${result} of ${at} with ${value ?? 'nothing'}`;

  test('gets each result with its key and the value that was being routed', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { v: 'a:a of a with a', w: 'b:B of b with B' };
      const e1 = hot('  -a-B-|');
      const expected = '-v-w-|';

      expectObservable(e1.pipe(routeBy({ key, route: fromRoute, mark }))).toBe(expected, values);
    });
  });

  test('gets no value for results that come later', () => {
    marbles(({ hot, cold, expectObservable }) => {
      const values = { x: 'x of a with nothing' };
      const e1 = hot('  -a------|');
      const a1 = cold(' --x|     ');
      const expected = '---x----|';

      expectObservable(e1.pipe(routeBy({ key, route: () => mergeMap(() => a1), mark }))).toBe(expected, values);
    });
  });

  test('gets no value for a result that comes while a value is routed to another key', () => {
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

  test('is not called for the value that a route’s error becomes', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { x: 'Error: capital in a with A' };
      const e1 = hot('  -A-|');
      const expected = '-x-|';

      expectObservable(e1.pipe(routeBy({ key, route: () => fragile, recover, mark }))).toBe(expected, values);
    });
  });

  test('is like recover in that: an error gets no value that is routed to another key', () => {
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

  test('cause values that go through their own routes', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a----|');
      const expected = '-(ba)-|';

      const { source$, route } = causing(e1);
      expectObservable(source$.pipe(routeBy({ key, route }))).toBe(expected);
    });
  });

  test('are still the ones given to recover when their own route fails afterwards', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { b: 'b', x: 'Error: capital in a with A' };
      const e1 = hot('  -A----|');
      const expected = '-(bx)-|';

      const { source$, route } = causing(e1);
      expectObservable(source$.pipe(routeBy({ key, route, recover }))).toBe(expected, values);
    });
  });
});
