import type { Access } from './authorize.js';
import type { Broker } from './broker.js';
import type { Handler } from './handler.js';
import { Hub } from './hub.js';
import { heartbeatTickMs, keepAlive, type KeepAlive } from './keep-alive.js';
import type { Logger } from './log.js';
import type { Metrics } from './metrics.js';
import { ENVELOPE_BYTES } from './protocol.js';
import { pulse, type Pulse } from './pulse.js';
import { sendBuffer, type SendBuffer } from './send-buffer.js';
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

/** What a pod is made of. */
export interface PodParts {
  readonly limits: Limits;
  readonly handlers: readonly Handler[];
  readonly broker: Broker;
  readonly world: World;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** What all connections of a process share. */
export interface Pod extends Omit<PodParts, 'handlers'> {
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly hub: Hub;
  readonly pulse: Pulse;
  readonly keepAlive: KeepAlive;
  readonly sendBuffer: SendBuffer;
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

/** How long a room's subscription outlives its last member: who reloads a page finds it still there. */
const LINGER_MS = 1000;

export function createPod(parts: PodParts): Pod {
  const { limits, broker, world, metrics, log } = parts;
  const beat = pulse(world, heartbeatTickMs(limits));
  const maxPublicationBytes = limits.maxMessageBytes + ENVELOPE_BYTES;
  return {
    ...parts,
    handlers: new Map(parts.handlers.map((handler) => [handler.type, handler])),
    hub: new Hub({ broker, world, metrics, log, maxPublicationBytes, lingerMs: LINGER_MS }),
    pulse: beat,
    keepAlive: keepAlive(limits, beat, world),
    sendBuffer: sendBuffer(limits, metrics, world),
  };
}
