import type { Logger } from '../runtime/log.js';

/** At most this many refused channels are logged in an interval. */
export const MOST_LINES = 10;
export const INTERVAL_MS = 60_000;

/** Logs the channels that Redis refuses. A client may ask for as many as it likes, so the number of lines is bounded. */
export class RefusalLog {
  readonly #log: Logger;
  readonly #now: () => number;
  /** When the present interval began. */
  #sinceMs = -Infinity;
  #lines = 0;
  /** Refusals that were not logged since the last line. */
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
