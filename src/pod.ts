import type { Access } from './authorize.js';
import type { Broker } from './broker.js';
import type { Handler } from './handler.js';
import type { Hub } from './hub.js';
import type { Logger } from './log.js';
import type { Metrics } from './metrics.js';
import type { Pulse } from './pulse.js';
import type { World } from './world.js';

/** The bounds of every connection; spec's table of limits says what each means. */
export interface Limits {
  readonly maxMessageBytes: number;
  readonly sendBufferMessages: number;
  readonly sendBufferBytes: number;
  readonly slowConsumerPolicy: 'disconnect' | 'drop-oldest';
  readonly publishWindow: number;
  readonly pingIntervalMs: number;
  readonly pongTimeoutMs: number;
}

/** What all connections of a process share. */
export interface Pod {
  readonly limits: Limits;
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly hub: Hub;
  readonly broker: Broker;
  readonly world: World;
  readonly pulse: Pulse;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** What one connection is made of, beside its socket. */
export interface ConnectionContext {
  readonly pod: Pod;
  readonly id: string;
  /** `from` of what it publishes. */
  readonly identity: string;
  /** The rooms it asked for; each once. */
  readonly rooms: readonly string[];
  /** What its token lets it do, and how long; undefined without authentication, where everybody may do everything. */
  readonly access: Access | undefined;
}

/** How often heartbeats look at the clock: often enough to be exact within a twenty-fifth of the interval, at most once in 10 ms. */
export function heartbeatTickMs({ pingIntervalMs }: Pick<Limits, 'pingIntervalMs'>): number {
  return Math.max(10, Math.floor(pingIntervalMs / 25));
}
