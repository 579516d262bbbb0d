import { LogThrottle } from '../runtime/log-throttle.js';
import type { Logger } from '../runtime/log.js';

/** At most this many lines are logged in an interval. */
export const MOST_LINES = 10;
export const INTERVAL_MS = 60_000;

/** Logs the channels to which the Redis user has no access. The number of lines is bounded, since clients choose the channels. */
export class RefusalLog {
  readonly #log: Logger;
  readonly #throttle: LogThrottle;

  /** @param now monotonic, in milliseconds */
  constructor(log: Logger, now: () => number) {
    this.#log = log;
    this.#throttle = new LogThrottle({ intervalMs: INTERVAL_MS, lines: MOST_LINES, now });
  }

  refused(channel: string, reason: string): void {
    const passed = this.#throttle.pass();
    if (passed) this.#log.warn({ channel, reason, ...passed }, 'subscription refused');
  }
}
