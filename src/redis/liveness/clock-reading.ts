import type { Runtime } from '../../runtime/runtime.js';

/** The two clocks of a machine. */
export type Clocks = Pick<Runtime, 'scheduler' | 'wallMs'>;

/** What both clocks of this machine showed at one point in time. Compare it only with readings of the same process. */
export interface ClockReading {
  /** Of the monotonic clock, in milliseconds. */
  readonly ms: number;
  /** Of the wall clock, in milliseconds since the epoch. */
  readonly wallMs: number;
}

export function readClocks({ scheduler, wallMs }: Clocks): ClockReading {
  return { ms: scheduler.now(), wallMs: wallMs() };
}

export function readingBefore({ ms, wallMs }: ClockReading, byMs: number): ClockReading {
  return { ms: ms - byMs, wallMs: wallMs - byMs };
}

/** The earlier of two readings, for each clock by itself. */
export function earlierReading(one: ClockReading, other: ClockReading): ClockReading {
  return { ms: Math.min(one.ms, other.ms), wallMs: Math.min(one.wallMs, other.wallMs) };
}

/**
 * The wall-clock time of a past reading, in milliseconds since the epoch. If the wall clock was set since then, it is the earlier of
 * the time that it showed and the time that it would have shown with its present setting.
 */
export function earliestWallMs(reading: ClockReading, clocks: Clocks): number {
  const now = readClocks(clocks);
  return earlierReading(reading, readingBefore(now, now.ms - reading.ms)).wallMs;
}
