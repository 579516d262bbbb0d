import type { MonoTypeOperatorFunction } from 'rxjs';
import type { Access } from './entrance/authorize.js';
import type { Broker } from './broker/broker.js';
import { ConfigError } from './config.js';
import { Failures } from './handling/failures.js';
import type { Handler, HandlerContext } from './handling/handler.js';
import { Hub } from './hub/hub.js';
import { HeldBytes } from './connection/held-bytes.js';
import { heartbeatTickMs, keepAlive, type KeepAlive } from './connection/keep-alive.js';
import type { Limits } from './connection/limits.js';
import type { Logger } from './log.js';
import type { Metrics } from './metrics.js';
import { ENVELOPE_BYTES, SERVER_TYPES, type Envelope } from './protocol.js';
import { pulse, type Pulse } from './connection/pulse.js';
import { sendBuffer, type SendBuffer } from './connection/send-buffer.js';
import type { World } from './world.js';
import type { Wrap } from './handling/wrap.js';

/** What a pod is made of. */
export interface PodParts {
  readonly limits: Limits;
  readonly handlers: readonly Handler[];
  /** What goes around all handlers, the first of them outermost. */
  readonly around?: readonly Wrap[] | undefined;
  readonly hear?: Hearing | undefined;
  readonly broker: Broker;
  readonly world: World;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/**
 * How a connection hears what is said in its rooms, from its first message on: through an operator, with the rules of the effect
 * `hear`, or where this returns undefined, as everybody does. Where it throws, the connection is closed with 1011.
 */
export type Hearing = (context: HandlerContext) => MonoTypeOperatorFunction<Envelope> | undefined;

/** What all connections of a process share. */
export interface Pod extends Omit<PodParts, 'handlers'> {
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly around: readonly Wrap[];
  /** What may come through the broker, and what a handler may say. */
  readonly maxPublicationBytes: number;
  readonly failures: Failures;
  readonly hub: Hub;
  readonly held: HeldBytes;
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
  const maxPublicationBytes = limits.maxMessageBytes + ENVELOPE_BYTES;
  const { maxRooms } = limits;
  const hub = new Hub({ broker, world, metrics, log, maxPublicationBytes, lingerMs: LINGER_MS, maxRooms });
  const held = new HeldBytes(limits.maxHeldBytes);
  const beat = pulse(world, heartbeatTickMs(limits), () => {
    hub.tick();
  });
  return {
    ...parts,
    ...named(parts),
    maxPublicationBytes,
    failures: new Failures(metrics, log, world),
    hub,
    held,
    pulse: beat,
    keepAlive: keepAlive(limits, beat, world),
    sendBuffer: sendBuffer(limits, metrics, world),
  };
}

/** @throws ConfigError where two have the same name, or a handler's type is not for clients to send */
function named({ handlers, around = [] }: PodParts): Pick<Pod, 'handlers' | 'around'> {
  const types = new Map<string, Handler>();
  for (const handler of handlers) {
    const { type } = handler;
    if (type === '' || SERVER_TYPES.has(type)) {
      throw new ConfigError(`a handler of type "${type}"; allowed: types that clients send`);
    }
    if (types.has(type)) throw new ConfigError(`two handlers of type "${type}"; allowed: one for each type`);
    types.set(type, handler);
  }
  const names = new Set(types.keys());
  for (const { name } of around) {
    if (names.has(name)) throw new ConfigError(`two parts are called "${name}"; allowed: a name of its own for each`);
    names.add(name);
  }
  return { handlers: types, around };
}
