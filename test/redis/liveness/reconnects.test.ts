import { expect, test } from '@jest/globals';
import { BehaviorSubject, EMPTY, NEVER, concat, defer, of, throwError, timer } from 'rxjs';
import type { BrokerStatus } from '../../../src/broker/broker.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { noMetrics } from '../../../src/runtime/metrics.js';
import { LinkError, type RedisLink } from '../../../src/redis/link.js';
import { reconnecting$ } from '../../../src/redis/liveness/reconnects.js';
import { marbles, virtualRuntime } from '../../support/marbles.js';
import { ScriptedLink } from '../../support/redis-link.js';

/** How long each retry waited, with these random numbers. */
function waits(randoms: readonly number[], workedAfter = Infinity): readonly number[] {
  const waited: number[] = [];
  marbles((_, scheduler) => {
    let failedMs: number | undefined;
    let throws = 0;
    const status$ = new BehaviorSubject<BrokerStatus>({ up: false, reason: 'not connected yet' });
    const ended = () => {
      failedMs = scheduler.now();
      return new LinkError('connect ECONNREFUSED');
    };
    const link$ = defer(() => {
      if (failedMs !== undefined) waited.push(scheduler.now() - failedMs);
      return waited.length === workedAfter ? concat(of<RedisLink>(new ScriptedLink(scheduler)), NEVER) : throwError(ended);
    });
    const sessions = reconnecting$({
      name: 'publisher',
      link$,
      verify: () => EMPTY,
      session$: () => {
        status$.next({ up: true });
        return concat(timer(10, scheduler), throwError(ended));
      },
      status$,
      runtime: { ...virtualRuntime(scheduler), random: () => randoms[throws++] ?? 0 },
      metrics: noMetrics,
      log: silentLogger,
    }).subscribe();
    scheduler.schedule(() => {
      sessions.unsubscribe();
    }, 60_000);
    scheduler.schedule(function stop() {
      if (waited.length >= randoms.length) sessions.unsubscribe();
      else this.schedule(undefined, 1);
    }, 1);
  });
  return waited.slice(0, randoms.length);
}

test('a retry waits a random part of a time that doubles with each failure, up to 2 s', () => {
  expect(waits([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])).toEqual([50, 100, 200, 400, 800, 1000, 1000, 1000]);
});

test('two pods with different random numbers do not reconnect together', () => {
  expect(waits([0.1, 0.9, 0.25, 0.75])).toEqual([10, 180, 100, 600]);
});

test('after a connection that worked, the backoff begins again', () => {
  expect(waits([0.5, 0.5, 0.5, 0.5, 0.5], 3)).toEqual([50, 100, 200, 50, 100]);
});
