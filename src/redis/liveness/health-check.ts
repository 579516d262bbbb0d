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
import type { Canary } from './canary.js';
import type { RedisLink } from '../link.js';
import { presentMoment, type Clocks, type Moment } from './clock-reading.js';

/** Spec, "Redis": a proof of life is at most so old when the next canary has come back. */
export const CANARY_INTERVAL_MS = 2000;

/** Canaries leave more often: for as long as one is in the air, the last proof is the one before. */
const CANARY_PACE_MS = 1500;

/** What came of a canary: it was sent then and came back; or it could not be published, which says nothing of the subscription. */
export type Proof =
  | {
      readonly sent: Moment;
      /** Whether anybody could be asked if the server is the master. */
      readonly isKnown: boolean;
    }
  | { readonly sent: Moment; readonly refusal: string };

export interface ProofOptions {
  readonly canary: Canary;
  /** Emits when a canary can be published that could not before. */
  readonly publishable$: Observable<unknown>;
  /** Completes when the canary's channel is subscribed to. */
  readonly prepared$: Observable<never>;
  /** See `Verify`; of the subscription's server. */
  readonly verified$: Observable<'not known'>;
  /** The subscription's. */
  readonly link: RedisLink;
  readonly time: Time & Clocks;
}

/**
 * Cold: proves a subscription alive again and again. Never completes; errors with `LinkError` when it is dead, or its server not
 * the one to listen to.
 */
export function proofs$(options: ProofOptions): Observable<Proof> {
  const { publishable$, time } = options;
  // What an earlier publisher sent may have gone to another server: it is not waited for.
  return publishable$.pipe(
    startWith(undefined),
    switchMap(() =>
      interval(CANARY_PACE_MS, time.scheduler).pipe(
        startWith(undefined),
        exhaustMap(() => proof$(options)),
      ),
    ),
  );
}

function proof$({ canary, prepared$, verified$, link, time }: ProofOptions): Observable<Proof> {
  return defer(() => {
    const sent = presentMoment(time);
    let refusal: string | undefined;
    let isKnown = true;
    const flown$ = canary.fly(link).pipe(
      catchError((error: unknown) => {
        // That is the publisher's trouble, and no reason to replace this connection; but proven it is not.
        if (!(error instanceof PublishError)) throw error;
        refusal = error.message;
        return EMPTY;
      }),
    );
    const asked$ = verified$.pipe(
      tap(() => (isKnown = false)),
      ignoreElements(),
    );
    return concat(
      prepared$,
      merge(flown$, asked$),
      defer(() => of(refusal === undefined ? { sent, isKnown } : { sent, refusal })),
    );
  });
}
