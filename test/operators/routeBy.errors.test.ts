import { describe, expect, test } from '@jest/globals';
import { NEVER, Subject, finalize, mergeMap, mergeWith, of, throwError } from 'rxjs';
import { routeBy } from '../../src/operators/routeBy.js';
import { marbles } from '../support/marbles.js';
import { fragile, key, recover, type Operator } from './letter-routes.js';

describe("routeBy: a route's error", () => {
  const boom = new Error('capital');

  test("is the output's error without recover", () => {
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

  test('becomes a value and leaves the other routes running', () => {
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

  test('is recovered from without a value if none was being routed', () => {
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
  ])('thrown $when is recovered from too', ({ route }) => {
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

describe("routeBy: an exception in a route's teardown", () => {
  const spoiled: Operator = (value$) =>
    value$.pipe(
      fragile,
      finalize(() => {
        throw new Error('teardown');
      }),
    );

  /** Records the keys of the failed teardowns. */
  function recordFailures() {
    const failed: string[] = [];
    return { failed, teardownFailed: (_: unknown, at: string) => failed.push(at) };
  }

  test('is reported, and the other routes are torn down', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions, flush }) => {
      const e1 = hot('  -a-b-----');
      const unsub = '   -----!   ';
      const e1subs = '  ^----!   ';
      const b1 = cold('    -x-----x ');
      const b1subs = '  ---^-!   ';
      const expected = '-a--x----';

      const { failed, teardownFailed } = recordFailures();
      const route = (at: string): Operator => (at === 'a' ? spoiled : mergeMap(() => b1));
      expectObservable(e1.pipe(routeBy({ key, route, teardownFailed })), unsub).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(b1.subscriptions).toBe(b1subs);
      flush();
      expect(failed).toEqual(['a']);
    });
  });

  test('hides neither the error of the route nor the next route of its key', () => {
    marbles(({ hot, expectObservable, flush }) => {
      const values = { x: 'Error: capital in a with A', a: 'a' };
      const e1 = hot('  -A-a-|');
      const expected = '-x-a-|';

      const { failed, teardownFailed } = recordFailures();
      expectObservable(e1.pipe(routeBy({ key, route: () => spoiled, recover, teardownFailed }))).toBe(expected, values);
      flush();
      expect(failed).toEqual(['a', 'a']);
    });
  });

  test('is rethrown without teardownFailed', () => {
    const subscription = of('a')
      .pipe(mergeWith(NEVER), routeBy({ key, route: () => spoiled }))
      .subscribe();
    expect(() => {
      subscription.unsubscribe();
    }).toThrow('teardown');
  });
});
