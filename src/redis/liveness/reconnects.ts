import {
  concat,
  defer,
  filter,
  ignoreElements,
  merge,
  retry,
  switchMap,
  tap,
  timer,
  type BehaviorSubject,
  type Observable,
} from 'rxjs';
import type { BrokerStatus } from '../../broker/broker.js';
import type { Logger } from '../../runtime/log.js';
import type { Metrics } from '../../runtime/metrics.js';
import type { RedisLink } from '../link.js';
import type { Verify } from './master.js';
import type { Runtime } from '../../runtime/runtime.js';

/** Retries wait at most this long, so that readiness follows Redis within seconds. */
const MAX_RETRY_MS = 2000;
const FIRST_RETRY_MS = 50;

export interface LivesOptions<T> {
  /** What reasons begin with. */
  readonly name: string;
  /** Cold; one connection (see `redisLink$`). */
  readonly link$: Observable<RedisLink>;
  readonly verify: Verify;
  /** What is done with a link; errors when it is over. */
  readonly live: (link: RedisLink) => Observable<T>;
  /** Up while a link is of use; told here when it no longer is. */
  readonly status$: BehaviorSubject<BrokerStatus>;
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/**
 * One connection's life after another, each begun later the more came to nothing before it, and by chance, so that pods don't come
 * back together. Never completes or errors.
 */
export function lives$<T>({ name, link$, verify, live, status$, runtime, metrics, log }: LivesOptions<T>): Observable<T> {
  let wasUp = false;
  let failures = 0;
  const fail = (error: Error) => {
    const reason = `${name}: ${error.message}`;
    const before = status$.value;
    if (wasUp) {
      failures = 0;
      metrics.brokerReconnected();
    }
    if (before.up || before.reason !== reason) log.warn({ reason }, 'broker connection lost');
    failures += 1;
    wasUp = false;
    status$.next({ up: false, reason });
  };
  const up$ = status$.pipe(
    filter(({ up }) => up),
    tap(() => {
      wasUp = true;
    }),
    ignoreElements(),
  );
  return link$.pipe(
    switchMap((link) =>
      concat(
        verify(link).pipe(ignoreElements()),
        defer(() => merge(live(link), up$)),
      ),
    ),
    retry({
      delay: (error: Error) => {
        fail(error);
        return timer(runtime.random() * Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** failures), runtime.scheduler);
      },
    }),
  );
}
