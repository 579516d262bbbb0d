import type { Logger } from '../runtime/log.js';
import type { Metrics } from '../runtime/metrics.js';
import type { Runtime } from '../runtime/runtime.js';

/** A handler's failures are logged at most once in so long, however many connections they come on; all are counted. */
const LOG_INTERVAL_MS = 10_000;

interface Told {
  readonly atMs: number;
  /** Failures since, which the log was spared. */
  unlogged: number;
}

/** Where the failures of all handlers of a pod are reported. */
export class Failures {
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #scheduler: Runtime['scheduler'];
  readonly #told = new Map<string, Told>();

  constructor(metrics: Metrics, log: Logger, { scheduler }: Runtime) {
    this.#metrics = metrics;
    this.#log = log;
    this.#scheduler = scheduler;
  }

  /** @param type the handler's, or the name of what goes around all */
  report(type: string, error: unknown, connection: string): void {
    this.#metrics.handlerFailed(type);
    const told = this.#told.get(type);
    const nowMs = this.#scheduler.now();
    if (told && nowMs - told.atMs < LOG_INTERVAL_MS) {
      told.unlogged += 1;
      return;
    }
    this.#told.set(type, { atMs: nowMs, unlogged: 0 });
    const before = told?.unlogged ? { unlogged: told.unlogged } : {};
    const details = { type, connection, ...before };
    try {
      this.#log.error({ err: error, ...details }, 'handler failed');
    } catch {
      // An error can be made so that to read it throws.
      this.#log.error(details, 'handler failed');
    }
  }
}
