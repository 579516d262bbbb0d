import { LogThrottle } from '../runtime/log-throttle.js';
import type { Logger } from '../runtime/log.js';
import type { Metrics } from '../runtime/metrics.js';
import type { Runtime } from '../runtime/runtime.js';

/** A handler's failures are logged at most once in this time, over all connections; all are counted. */
const LOG_INTERVAL_MS = 10_000;

/** Where the failures of all handlers of a pod are reported. */
export class Failures {
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #throttle: LogThrottle;

  constructor(metrics: Metrics, log: Logger, { scheduler }: Runtime) {
    this.#metrics = metrics;
    this.#log = log;
    this.#throttle = new LogThrottle({ intervalMs: LOG_INTERVAL_MS, now: () => scheduler.now() });
  }

  /** @param type the handler's type, or a middleware's name */
  report(type: string, error: unknown, connection: string): void {
    this.#metrics.handlerFailed(type);
    const passed = this.#throttle.pass(type);
    if (passed === undefined) return;
    const details = { type, connection, ...passed };
    try {
      this.#log.error({ err: error, ...details }, 'handler failed');
    } catch {
      // An error may throw when it is read.
      this.#log.error(details, 'handler failed');
    }
  }
}
