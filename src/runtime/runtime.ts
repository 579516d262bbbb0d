import type { Observable, SchedulerLike } from 'rxjs';

/**
 * What the pure core may not reach for itself: time, ids, chance and the event loop.
 * Production gives `nodeWorld` (runtime-node.ts); a test gives virtual time, counted ids and loaded dice.
 */
export interface Runtime {
  /**
   * Every timer, and the clock for ages, intervals, deadlines and durations: `now()` is monotonic, in milliseconds. Setting the
   * machine's clock does not move it, so it may differ from the time of day, and from the clock of any other machine.
   */
  readonly scheduler: SchedulerLike;
  /** The machine's clock, in milliseconds since the epoch: only for times that are shown or were signed. It can step back. */
  readonly wallMs: () => number;
  /** Cold; emits once and completes when the event loop ends the turn it is in. */
  readonly turnEnd$: Observable<unknown>;
  /** A fresh id: a UUIDv7 (RFC 9562), so that ids sort by time. */
  readonly newId: () => string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}
