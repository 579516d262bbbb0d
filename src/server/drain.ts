import {
  EMPTY,
  Observable,
  bufferCount,
  concat,
  concatMap,
  defer,
  first,
  from,
  ignoreElements,
  map,
  merge,
  of,
  startWith,
  takeUntil,
  tap,
  timer,
} from 'rxjs';
import type { Drain } from '../connection/transport.js';
import type { Runtime } from '../runtime/runtime.js';

/** The part of a connection that the drain uses. */
export interface Drainable {
  order(drain: Drain): void;
  terminate(): void;
}

export interface DrainOptions {
  /** The open connections; changes while the drain runs. */
  readonly connections: ReadonlySet<Drainable>;
  /** Emits when one of them has ended. */
  readonly ended$: Observable<unknown>;
  /** The time before the first connection is ordered to close, for load balancers. */
  readonly delayMs: number;
  /** The time for all closes. */
  readonly timeoutMs: number;
  readonly runtime: Runtime;
  /** Subscribed to when the delay is over, before the first connection is ordered to close; it may take until the timeout. */
  readonly closing$?: Observable<never> | undefined;
}

/** A connection, and the time from the drain's beginning to its close. */
interface Due {
  readonly connection: Drainable;
  readonly closeMs: number;
}

/** Closes are spread over at most this part of the timeout; the rest is for closing handshakes. */
const SPREAD = 0.8;

/** At most about one close per millisecond: the connections that stay longer are served, and a small pod is gone at once. */
const CLOSE_SPACING_MS = 1;

/** The number of connections that are ordered to close in one turn of the event loop, which takes a few milliseconds; others are served between the turns. */
const ORDERS_PER_TURN = 200;

/** Reconnects are spread over at least this time, and at most one a millisecond, so that other pods are not overrun. */
const MIN_RECONNECT_SPREAD_MS = 5000;

/**
 * Drains a pod: waits, orders every connection to close at a random moment of its own, and terminates those that are left when the
 * time is over. Completes when no connection is left and `closing$` has completed. Spec: "Shutdown".
 */
export function drain({ connections, ended$, delayMs, timeoutMs, runtime, closing$ = EMPTY }: DrainOptions): Observable<never> {
  const { scheduler, random, turnEnd$ } = runtime;
  const empty$ = ended$.pipe(
    startWith(undefined),
    first(() => connections.size === 0),
  );
  const ordered$ = defer(() => {
    const spreadMs = Math.min(SPREAD * timeoutMs, connections.size * CLOSE_SPACING_MS);
    const reconnectSpreadMs = Math.max(MIN_RECONNECT_SPREAD_MS, connections.size);
    const startMs = scheduler.now();
    const order = ({ connection, closeMs }: Due) => {
      if (!connections.has(connection)) return;
      const closeInMs = Math.max(0, closeMs - (scheduler.now() - startMs));
      connection.order({ kind: 'drain', closeInMs, reconnectInMs: Math.floor(random() * (reconnectSpreadMs + 1)) });
    };
    const dues = [...connections].map((connection) => ({ connection, closeMs: random() * spreadMs }));
    // The last to close are ordered first, so that closes do not delay the orders.
    const orders$ = from(dues.sort((a, b) => b.closeMs - a.closeMs)).pipe(
      bufferCount(ORDERS_PER_TURN),
      concatMap((some, nth) => (nth === 0 ? of(some) : turnEnd$.pipe(map(() => some)))),
      tap((some) => {
        some.forEach(order);
      }),
      ignoreElements(),
    );
    return concat(orders$, empty$);
  });
  const late$ = timer(timeoutMs, scheduler).pipe(
    tap(() => {
      for (const connection of connections) connection.terminate();
    }),
  );
  const closed$ = merge(ordered$, late$.pipe(ignoreElements())).pipe(first());
  const ending$ = merge(closing$.pipe(takeUntil(timer(timeoutMs, scheduler))), closed$);
  return concat(timer(delayMs, scheduler), ending$).pipe(ignoreElements());
}
