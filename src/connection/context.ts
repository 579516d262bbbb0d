import type { MonoTypeOperatorFunction } from 'rxjs';
import type { Access } from '../auth/grant.js';
import type { DispatchContext, DispatchPod } from '../dispatch/context.js';
import type { HandlerContext } from '../handlers/handler.js';
import type { Hub } from '../hub/hub.js';
import type { Envelope } from '../protocol/protocol.js';
import type { HeartbeatClock } from './clock.js';
import type { HeldBytes } from './held-bytes.js';
import type { KeepAlive } from './keep-alive.js';
import type { Limits } from './limits.js';
import type { SendBuffer } from './send-buffer.js';

/**
 * How a connection hears what is said in its rooms, from its first message on: through an operator, with the rules of the effect
 * `hear`, or where this returns undefined, as everybody does. Where it throws, the connection is closed with 1011.
 */
export type OutboundTransform = (context: HandlerContext) => MonoTypeOperatorFunction<Envelope> | undefined;

/** What all connections of a process share. */
export interface Pod extends DispatchPod {
  readonly limits: Limits;
  readonly transform?: OutboundTransform | undefined;
  /** What may come through the broker, and what a handler may say. */
  readonly maxPublicationBytes: number;
  readonly hub: Hub;
  readonly held: HeldBytes;
  readonly clock: HeartbeatClock;
  readonly keepAlive: KeepAlive;
  readonly sendBuffer: SendBuffer;
}

/** What one connection is made of, beside its socket. */
export interface ConnectionContext extends DispatchContext {
  readonly pod: Pod;
  /** The rooms it asked for; each once. */
  readonly rooms: readonly string[];
  /** What its token lets it do, and how long; undefined without authentication, where everybody may do everything. */
  readonly access: Access | undefined;
}
