import type { Observable, SchedulerLike } from 'rxjs';

/**
 * Time, ids, random numbers and the event loop, which the core does not access by itself.
 * The service uses `nodeRuntime`; tests use virtual time, counted ids and fixed random numbers.
 */
export interface Runtime {
  /**
   * All timers, and the clock for ages, intervals, deadlines and durations. `now()` is monotonic, in milliseconds: setting the
   * machine's clock does not move it, so it may differ from the time of day, and from other machines.
   */
  readonly scheduler: SchedulerLike;
  /** The machine's clock, in milliseconds since the epoch, only for times that are shown or were signed. It can go back. */
  readonly wallMs: () => number;
  /** Cold; emits once and completes when the event loop ends the turn it is in. */
  readonly turnEnd$: Observable<unknown>;
  /** A fresh id: a UUIDv7 (RFC 9562), so that ids sort by time. */
  readonly newId: () => string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}
