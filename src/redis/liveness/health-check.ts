import {
  EMPTY,
  catchError,
  concat,
  defer,
  exhaustMap,
  ignoreElements,
  interval,
  merge,
  of,
  startWith,
  switchMap,
  tap,
  type Observable,
} from 'rxjs';
import { PublishError } from '../../broker/broker.js';
import type { Time } from '../../operators/within.js';
import type { RedisLink } from '../link.js';
import type { Canary } from './canary.js';
import { readClocks, type ClockReading, type Clocks } from './clock-reading.js';

/** Spec, "Redis": the last successful check is at most this old when the next canary has come back. */
export const CANARY_INTERVAL_MS = 2000;

/** Shorter, since the last successful check is the one before for as long as a canary is on its way. */
const CHECK_INTERVAL_MS = 1500;

/** The result of a check: the canary came back; or it could not be published, which says nothing about the subscription. */
export type HealthCheck =
  | {
      readonly sent: ClockReading;
      /** The server is known to be the master, too. */
      readonly isMaster: boolean;
    }
  | { readonly sent: ClockReading; readonly refusal: string };

export interface HealthCheckOptions {
  readonly canary: Canary;
  /** Emits when the publisher can publish again. */
  readonly publishable$: Observable<unknown>;
  /** Completes when the canary's channel is subscribed to. */
  readonly prepared$: Observable<never>;
  /** Verifies the subscription's server (see `Verify`). */
  readonly verified$: Observable<'unknown'>;
  /** The subscription's. */
  readonly link: RedisLink;
  readonly time: Time & Clocks;
}

/** Cold: checks a subscription again and again. Never completes; errors with `LinkError` if it is dead, or its server not the master. */
export function healthChecks$(options: HealthCheckOptions): Observable<HealthCheck> {
  const { publishable$, time } = options;
  // A new publisher starts anew: the canary of the one before may have gone to another server.
  return publishable$.pipe(
    startWith(undefined),
    switchMap(() =>
      interval(CHECK_INTERVAL_MS, time.scheduler).pipe(
        startWith(undefined),
        exhaustMap(() => healthCheck$(options)),
      ),
    ),
  );
}

function healthCheck$({ canary, prepared$, verified$, link, time }: HealthCheckOptions): Observable<HealthCheck> {
  return defer(() => {
    const sent = readClocks(time);
    let refusal: string | undefined;
    let isMaster = true;
    const cameBack$ = canary.send(link).pipe(
      catchError((error: unknown) => {
        // The publisher's fault, and no reason to replace this connection; but the check is not passed.
        if (!(error instanceof PublishError)) throw error;
        refusal = error.message;
        return EMPTY;
      }),
    );
    const role$ = verified$.pipe(
      tap(() => (isMaster = false)),
      ignoreElements(),
    );
    return concat(
      prepared$,
      merge(cameBack$, role$),
      defer(() => of(refusal === undefined ? { sent, isMaster } : { sent, refusal })),
    );
  });
}
