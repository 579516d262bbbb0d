import { describe, expect, test } from '@jest/globals';
import { EMPTY, Subject, of, throwError, timer, type Observable } from 'rxjs';
import { PublishError } from '../../../src/broker/broker.js';
import { Canary } from '../../../src/redis/liveness/canary.js';
import { healthChecks$, type HealthCheck } from '../../../src/redis/liveness/health-check.js';
import { DemotedError } from '../../../src/redis/liveness/master.js';
import { marbles, virtualRuntime } from '../../support/marbles.js';
import { ScriptedLink } from '../../support/redis-link.js';

interface Setup {
  /** The error of publishing a canary. */
  readonly refusal?: string;
  readonly verified$?: Observable<'unknown'>;
  /** When the publisher is replaced. */
  readonly publishableAtMs?: number;
  readonly untilMs?: number;
}

/** The results of checks whose canaries come back at once, as `{sent} {result}`. */
function checks({ refusal, verified$ = EMPTY, publishableAtMs = 100_000, untilMs = 4000 }: Setup): readonly string[] {
  const results: string[] = [];
  marbles((_, scheduler) => {
    const time = virtualRuntime(scheduler);
    const canary: Canary = new Canary({
      channel: () => 'test:canary:pod',
      publish: (_channel, payload) => {
        if (refusal !== undefined) return throwError(() => new PublishError('unavailable', refusal));
        canary.received(Buffer.from(payload));
        return EMPTY;
      },
      timeoutMs: 100,
      time,
    });
    const publishable$ = new Subject<undefined>();
    const link = new ScriptedLink(scheduler);
    const subscription = healthChecks$({ canary, publishable$, prepared$: EMPTY, verified$, link, time }).subscribe({
      next: (check: HealthCheck) => {
        results.push(`${check.sent.ms} ${'refusal' in check ? check.refusal : check.isMaster ? 'master' : 'healthy'}`);
      },
      error: ({ message }: Error) => results.push(`ended: ${message}`),
    });
    timer(publishableAtMs, scheduler).subscribe(() => {
      publishable$.next(undefined);
    });
    timer(untilMs, scheduler).subscribe(() => {
      subscription.unsubscribe();
    });
  });
  return results;
}

describe('the health checks of a subscription', () => {
  test('are every 1.5 s, and say that the server is the master', () => {
    expect(checks({})).toEqual(['0 master', '1500 master', '3000 master']);
  });

  test('say that it is unknown who the master is', () => {
    expect(checks({ verified$: of('unknown' as const), untilMs: 100 })).toEqual(['0 healthy']);
  });

  test('go on after a canary that could not be published', () => {
    expect(checks({ refusal: 'OOM', untilMs: 1600 })).toEqual(['0 OOM', '1500 OOM']);
  });

  test('begin again when the publisher is replaced', () => {
    expect(checks({ publishableAtMs: 700, untilMs: 2000 })).toEqual(['0 master', '700 master']);
  });

  test('end when the server is not the master', () => {
    const verified$ = throwError(() => new DemotedError('the server is a slave, not a master'));
    expect(checks({ verified$ })).toEqual(['ended: the server is a slave, not a master']);
  });
});
