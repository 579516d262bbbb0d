import type { MonoTypeOperatorFunction } from 'rxjs';
import type { Access } from '../auth/grant.js';
import type { DispatchContext, DispatchPod } from '../dispatch/context.js';
import type { HandlerContext } from '../handlers/handler.js';
import type { Hub } from '../hub/hub.js';
import type { Envelope } from '../protocol/protocol.js';
import type { ConnectionHeartbeat, HeartbeatClock } from './heartbeat.js';
import type { HeldBytes } from './held-bytes.js';
import type { Limits } from './limits.js';
import type { SendBuffer } from './send-buffer.js';

/**
 * Gives a new connection an operator for the messages that it receives, by the rules of the effect `transform`; undefined for none.
 * If it throws, the connection is closed with 1011.
 */
export type OutboundTransform = (context: HandlerContext) => MonoTypeOperatorFunction<Envelope> | undefined;

/** The parts that all connections of a process share. */
export interface Pod extends DispatchPod {
  readonly limits: Limits;
  readonly transform?: OutboundTransform | undefined;
  /** The largest envelope that may be published, or sent as a reply, in bytes. */
  readonly maxPublicationBytes: number;
  readonly hub: Hub;
  readonly held: HeldBytes;
  readonly clock: HeartbeatClock;
  readonly heartbeat: ConnectionHeartbeat;
  readonly sendBuffer: SendBuffer;
}

/** The parts of one connection, without its socket. */
export interface ConnectionContext extends DispatchContext {
  readonly pod: Pod;
  /** The rooms that it came for, each once. */
  readonly rooms: readonly string[];
  /** What its token permits, and until when; undefined without authentication, where everything is permitted. */
  readonly access: Access | undefined;
}
