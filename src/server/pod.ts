import type { OutboundTransform, Pod } from '../connection/context.js';
import type { Broker } from '../broker/broker.js';
import { ConfigError } from '../config/config.js';
import { Failures } from '../dispatch/failures.js';
import type { Handler } from '../handlers/handler.js';
import { Hub } from '../hub/hub.js';
import { HeldBytes } from '../connection/held-bytes.js';
import { connectionHeartbeat, heartbeatClock, heartbeatTickMs } from '../connection/heartbeat.js';
import type { Limits } from '../connection/limits.js';
import type { Logger } from '../runtime/log.js';
import type { Metrics } from '../runtime/metrics.js';
import { ENVELOPE_BYTES, SERVER_TYPES } from '../protocol/protocol.js';
import { sendBuffer } from '../connection/send-buffer.js';
import type { Runtime } from '../runtime/runtime.js';
import type { Middleware } from '../handlers/middleware.js';

/** The parts of a pod that are given. */
export interface PodParts {
  readonly limits: Limits;
  readonly handlers: readonly Handler[];
  /** Middleware around all handlers, the first of it outermost. */
  readonly middleware?: readonly Middleware[] | undefined;
  readonly transform?: OutboundTransform | undefined;
  readonly broker: Broker;
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** The time for which a room stays subscribed after its last member left: a client that reloads its page finds it still there. */
const LINGER_MS = 1000;

export function createPod(parts: PodParts): Pod {
  const { limits, broker, runtime, metrics, log } = parts;
  const maxPublicationBytes = limits.maxMessageBytes + ENVELOPE_BYTES;
  const { maxRooms } = limits;
  const hub = new Hub({ broker, runtime, metrics, log, maxPublicationBytes, lingerMs: LINGER_MS, maxRooms });
  const held = new HeldBytes(limits.maxHeldBytes);
  const clock = heartbeatClock(runtime, heartbeatTickMs(limits), () => {
    hub.tick();
  });
  return {
    ...parts,
    ...named(parts),
    maxPublicationBytes,
    failures: new Failures(metrics, log, runtime),
    hub,
    held,
    clock,
    heartbeat: connectionHeartbeat(limits, clock, runtime),
    sendBuffer: sendBuffer(limits, metrics, runtime),
  };
}

/** @throws ConfigError where two parts have the same name, or where clients may not send a handler's type */
function named({ handlers, middleware = [] }: PodParts): Pick<Pod, 'handlers' | 'middleware'> {
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
  for (const { name } of middleware) {
    if (names.has(name)) throw new ConfigError(`two parts are called "${name}"; allowed: a name of its own for each`);
    names.add(name);
  }
  return { handlers: types, middleware };
}
