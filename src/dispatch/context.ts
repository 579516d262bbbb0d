import type { Observable } from 'rxjs';
import type { Failures } from './failures.js';
import type { Handler } from '../handlers/handler.js';
import type { Middleware } from '../handlers/middleware.js';
import type { Logger } from '../runtime/log.js';
import type { Metrics } from '../runtime/metrics.js';
import type { Runtime } from '../runtime/runtime.js';

/** The parts of one connection that checking and handling its messages need. */
export interface DispatchContext {
  readonly id: string;
  /** `from` of what it publishes. */
  readonly identity: string;
  readonly pod: DispatchPod;
}

/** The parts of a pod that checking and handling messages need. */
export interface DispatchPod {
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly middleware: readonly Middleware[];
  readonly failures: Failures;
  readonly limits: { readonly maxMessageBytes: number };
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** The rooms that a connection is in. */
export interface CurrentRooms {
  /** In the order in which it joined them. */
  readonly rooms: readonly string[];
  /** The present ones, then those after each change. */
  readonly rooms$: Observable<readonly string[]>;
}
