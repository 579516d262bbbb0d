import type { Runtime } from '../../runtime/runtime.js';

/** The two clocks of a machine. */
export type Clocks = Pick<Runtime, 'scheduler' | 'wallMs'>;

/** A moment as both clocks of this machine showed it. It compares only with moments of the same process. */
export interface Moment {
  /** By the monotonic clock, in milliseconds. */
  readonly ms: number;
  /** By the machine's clock, in milliseconds since the epoch. */
  readonly wallMs: number;
}

export function presentMoment({ scheduler, wallMs }: Clocks): Moment {
  return { ms: scheduler.now(), wallMs: wallMs() };
}

export function momentBefore({ ms, wallMs }: Moment, byMs: number): Moment {
  return { ms: ms - byMs, wallMs: wallMs - byMs };
}

/** The earlier of two, by each clock. */
export function earlierMoment(one: Moment, other: Moment): Moment {
  return { ms: Math.min(one.ms, other.ms), wallMs: Math.min(one.wallMs, other.wallMs) };
}

/**
 * The time of day of a moment that is past. The machine's clock may have been set since then: of what it showed, and what it would
 * have shown by its present setting, the earlier.
 */
export function earliestWallMs(moment: Moment, clocks: Clocks): number {
  const now = presentMoment(clocks);
  return earlierMoment(moment, momentBefore(now, now.ms - moment.ms)).wallMs;
}
