import { describe, expect, test } from '@jest/globals';
import { Subject, ignoreElements, interval, map } from 'rxjs';
import type { Access } from '../../src/auth/grant.js';
import { TokenExpiredError, untilExpired } from '../../src/connection/expiry.js';
import type { Inbound } from '../../src/connection/transport.js';
import { marbles, virtualRuntime } from '../support/marbles.js';

const DAY_MS = 86_400_000;
const VALUES = { t: { kind: 'tick' }, a: { kind: 'alive' }, x: { kind: 'text', text: 'x' } } satisfies Record<string, Inbound>;
const EXPIRED: unknown = expect.any(TokenExpiredError);

function access(expiresAtMs: number): Access {
  return { grant: { mayJoin: () => true, mayPublish: () => true, mayPublishGlobally: () => true }, expiresAtMs };
}

describe('a token that expires', () => {
  test.each([
    ['passes everything on before, and errors at the first tick at which it has expired', '-tax-t--t', '-tax-t--#', '^-------!'],
    ['errors at the very millisecond', '------t', '------#', '^-----!'],
    ['passes on what comes after that and before the next tick', '------axt', '------ax#', '^-------!'],
    ['completes with its source', 'a-|', 'a-|', '^-!'],
    ['errors with its source', 'a-#', 'a-#', '^-!'],
  ])('%s', (_, source, expected, subscription) => {
    marbles(({ hot, expectObservable, expectSubscriptions }, scheduler) => {
      const inbound$ = hot<Inbound>(source, VALUES);
      const error = source.endsWith('#') ? 'error' : EXPIRED;
      expectObservable(inbound$.pipe(untilExpired(access(6), virtualRuntime(scheduler)))).toBe(expected, VALUES, error);
      expectSubscriptions(inbound$.subscriptions).toBe(subscription);
    });
  });

  test('is left alone once it is unsubscribed from', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }, scheduler) => {
      const inbound$ = hot<Inbound>('-a-t----t', VALUES);
      expectObservable(inbound$.pipe(untilExpired(access(6), virtualRuntime(scheduler))), '^----!').toBe('-a-t', VALUES);
      expectSubscriptions(inbound$.subscriptions).toBe('^----!');
    });
  });

  test('after 30 days ends then, not at once as a timer would', () => {
    marbles(({ expectObservable }, scheduler) => {
      const tick$ = interval(DAY_MS / 2, scheduler).pipe(map((): Inbound => ({ kind: 'tick' })));
      const end$ = tick$.pipe(untilExpired(access(30 * DAY_MS), virtualRuntime(scheduler)), ignoreElements());
      expectObservable(end$).toBe(`${30 * DAY_MS}ms #`, {}, EXPIRED);
    });
  });

  test('keeps no timer, and nothing else once its source has gone', () => {
    marbles((_, scheduler) => {
      const inbound$ = new Subject<Inbound>();
      const subscription = inbound$.pipe(untilExpired(access(6), virtualRuntime(scheduler))).subscribe();
      expect(scheduler.actions).toEqual([]);
      subscription.unsubscribe();
      expect(inbound$.observed).toBe(false);
    });
  });
});
