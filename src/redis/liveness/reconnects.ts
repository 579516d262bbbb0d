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
import type { Runtime } from '../../runtime/runtime.js';
import type { RedisLink } from '../link.js';
import type { Verify } from './master.js';

/** Retries wait at most this long, so that readiness follows Redis within seconds. */
const MAX_RETRY_MS = 2000;
const FIRST_RETRY_MS = 50;

export interface ReconnectOptions<T> {
  /** The prefix of reasons. */
  readonly name: string;
  /** Cold; one connection (see `redisLink$`). */
  readonly link$: Observable<RedisLink>;
  readonly verify: Verify;
  /** Uses a verified link; errors when the link is over. */
  readonly session$: (link: RedisLink) => Observable<T>;
  /** Set to up by the session while its link works, and to down here when the session has ended. */
  readonly status$: BehaviorSubject<BrokerStatus>;
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/**
 * Runs one session after another, each on a new connection, with exponential backoff and full jitter in between. Never completes or
 * errors.
 */
export function reconnecting$<T>(options: ReconnectOptions<T>): Observable<T> {
  const { name, link$, verify, session$, status$, runtime, metrics, log } = options;
  let wasUp = false;
  let failures = 0;
  const fail = (error: Error) => {
    const reason = `${name}: ${error.message}`;
    const before = status$.value;
    if (wasUp) {
      failures = 0;
      metrics.brokerReconnected();
    }
    if (before.up || before.reason !== reason) log.warn({ reason }, 'Redis connection lost');
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
        defer(() => merge(session$(link), up$)),
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
