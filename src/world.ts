import type { Observable, SchedulerLike } from 'rxjs';

/**
 * What the pure core may not reach for itself: time, ids, chance and the event loop.
 * Production gives `nodeWorld` (world-node.ts); a test gives virtual time, counted ids and loaded dice.
 */
export interface World {
  /** The clock (`now()`, in milliseconds since the epoch) and every timer. */
  readonly scheduler: SchedulerLike;
  /** Cold; emits once and completes when the event loop ends the turn it is in. */
  readonly turnEnd$: Observable<unknown>;
  /** A fresh id: a UUIDv7 (RFC 9562), so that ids sort by time. */
  readonly newId: () => string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}
