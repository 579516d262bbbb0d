export interface LogThrottleOptions {
  readonly intervalMs: number;
  /** Lines that pass in an interval, for each key; absent, one. */
  readonly lines?: number;
  /** Monotonic, in milliseconds. */
  readonly now: () => number;
}

/** Details for a line that passes: the number of lines that did not since the last one; absent where all did. */
export interface Unlogged {
  readonly unlogged?: number;
}

interface Interval {
  readonly sinceMs: number;
  lines: number;
  unlogged: number;
}

/** Beyond this number of keys, those whose interval is over are forgotten. */
const KEYS_KEPT = 100;

/** Bounds how often something is logged, by the monotonic clock, and counts the lines that it suppresses. */
export class LogThrottle {
  readonly #options: LogThrottleOptions;
  /** The latest interval of each key, in the order in which they began. */
  readonly #intervals = new Map<string, Interval>();

  constructor(options: LogThrottleOptions) {
    this.#options = options;
  }

  /**
   * To be called for each line.
   *
   * @param key lines of different keys are bounded and counted separately
   * @returns details for the line; undefined where the line is suppressed
   */
  pass(key = ''): Unlogged | undefined {
    const { lines = 1, intervalMs, now } = this.#options;
    const nowMs = now();
    let interval = this.#intervals.get(key);
    if (interval === undefined || nowMs - interval.sinceMs >= intervalMs) {
      interval = { sinceMs: nowMs, lines: 0, unlogged: interval?.unlogged ?? 0 };
      this.#intervals.delete(key);
      this.#forgetOver(nowMs - intervalMs);
      this.#intervals.set(key, interval);
    }
    if (interval.lines === lines) {
      interval.unlogged += 1;
      return undefined;
    }
    const { unlogged } = interval;
    interval.lines += 1;
    interval.unlogged = 0;
    return unlogged > 0 ? { unlogged } : {};
  }

  #forgetOver(sinceMs: number): void {
    for (const [key, interval] of this.#intervals) {
      if (this.#intervals.size < KEYS_KEPT || interval.sinceMs > sinceMs) return;
      this.#intervals.delete(key);
    }
  }
}
