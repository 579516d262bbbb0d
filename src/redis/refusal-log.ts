import { LogThrottle } from '../runtime/log-throttle.js';
import type { Logger } from '../runtime/log.js';

/** At most this many refused channels are logged in an interval. */
export const MOST_LINES = 10;
export const INTERVAL_MS = 60_000;

/** Logs the channels that Redis refuses. A client may ask for as many as it likes, so the number of lines is bounded. */
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
