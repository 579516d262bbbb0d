import type { Broker } from './broker.js';
import { measuredBroker } from './broker-measured.js';
import type { Handler } from './handler.js';
import { Hub } from './hub.js';
import type { Logger } from './log.js';
import type { Metrics } from './metrics.js';
import { ENVELOPE_BYTES } from './protocol.js';
import { pulse, type Pulse } from './pulse.js';
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

export interface PodParts {
  readonly limits: Limits;
  readonly handlers: readonly Handler[];
  readonly broker: Broker;
  readonly world: World;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** How long a room's subscription outlives its last member: who reloads a page finds it still there. */
const LINGER_MS = 1000;

/** A pod without its sockets: whoever lets connections in gives each of them its context. */
export function createPod({ limits, handlers, broker: plainBroker, world, metrics, log }: PodParts): Pod {
  const broker = measuredBroker(plainBroker, metrics, world);
  const maxPublicationBytes = limits.maxMessageBytes + ENVELOPE_BYTES;
  return {
    limits,
    handlers: new Map(handlers.map((handler) => [handler.type, handler])),
    hub: new Hub({ broker, world, metrics, log, maxPublicationBytes, lingerMs: LINGER_MS }),
    broker,
    world,
    pulse: pulse(world, heartbeatTickMs(limits)),
    metrics,
    log,
  };
}

/** What one connection is made of, beside its socket. */
export interface ConnectionContext {
  readonly pod: Pod;
  readonly id: string;
  /** `from` of what it publishes. */
  readonly identity: string;
  /** The rooms it asked for; each once. */
  readonly rooms: readonly string[];
}

/** How often heartbeats look at the clock: often enough to be exact within a twenty-fifth of the interval, at most once in 10 ms. */
export function heartbeatTickMs({ pingIntervalMs }: Pick<Limits, 'pingIntervalMs'>): number {
  return Math.max(10, Math.floor(pingIntervalMs / 25));
}
