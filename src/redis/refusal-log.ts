import type { Logger } from '../runtime/log.js';

/** At most this many lines are logged in an interval. */
export const MOST_LINES = 10;
export const INTERVAL_MS = 60_000;

/** Logs the channels to which the Redis user has no access. The number of lines is bounded, since clients choose the channels. */
export class RefusalLog {
  readonly #log: Logger;
  readonly #now: () => number;
  /** Start of the present interval. */
  #sinceMs = -Infinity;
  #lines = 0;
  /** Refusals since the last line that were not logged. */
  #unlogged = 0;

  /** @param now monotonic, in milliseconds */
  constructor(log: Logger, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  refused(channel: string, reason: string): void {
    const nowMs = this.#now();
    if (nowMs - this.#sinceMs >= INTERVAL_MS) [this.#sinceMs, this.#lines] = [nowMs, 0];
    if (this.#lines === MOST_LINES) {
      this.#unlogged += 1;
      return;
    }
    this.#lines += 1;
    this.#log.warn({ channel, reason, ...(this.#unlogged > 0 && { unlogged: this.#unlogged }) }, 'subscription refused');
    this.#unlogged = 0;
  }
}
