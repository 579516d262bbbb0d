import type { Logger } from '../runtime/log.js';
import type { Metrics } from '../runtime/metrics.js';
import type { Runtime } from '../runtime/runtime.js';

/** A handler's failures are logged at most once in this time, over all connections; all are counted. */
const LOG_INTERVAL_MS = 10_000;

interface LogEntry {
  readonly atMs: number;
  /** Failures since then, which were not logged. */
  unlogged: number;
}

/** Counts and logs the failures of all handlers of a pod. */
export class Failures {
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #scheduler: Runtime['scheduler'];
  readonly #logged = new Map<string, LogEntry>();

  constructor(metrics: Metrics, log: Logger, { scheduler }: Runtime) {
    this.#metrics = metrics;
    this.#log = log;
    this.#scheduler = scheduler;
  }

  /** @param type the handler's type, or a middleware's name */
  report(type: string, error: unknown, connection: string): void {
    this.#metrics.handlerFailed(type);
    const last = this.#logged.get(type);
    const nowMs = this.#scheduler.now();
    if (last && nowMs - last.atMs < LOG_INTERVAL_MS) {
      last.unlogged += 1;
      return;
    }
    this.#logged.set(type, { atMs: nowMs, unlogged: 0 });
    const before = last?.unlogged ? { unlogged: last.unlogged } : {};
    const details = { type, connection, ...before };
    try {
      this.#log.error({ err: error, ...details }, 'handler failed');
    } catch {
      // An error may throw when it is read.
      this.#log.error(details, 'handler failed');
    }
  }
}
