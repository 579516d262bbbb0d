import { ownBatch, type Batch } from './frame.js';
import { SERVER_ID, timestamp, writeEnvelope, type ErrorCode } from '../protocol/protocol.js';
import type { Runtime } from '../runtime/runtime.js';

/** What the server itself says; it decides the rest of the envelope. */
export interface ServerMessage {
  readonly type: string;
  readonly data: unknown;
  /** Absent where it is for one connection. */
  readonly room?: string;
  /** Absent for a fresh one. */
  readonly id?: string | undefined;
}

/** The server's own message as an envelope's JSON. */
export function writeServerMessage({ type, data, room, id }: ServerMessage, { wallMs, newId }: Runtime): string {
  return writeEnvelope({ id: id ?? newId(), type, room, from: SERVER_ID, data, timestamp: timestamp(wallMs()) });
}

/** The server's own message to one connection. */
export function serverBatch(message: ServerMessage, runtime: Runtime): Batch {
  return ownBatch(writeServerMessage(message, runtime));
}

/** A `system` message: spec's list of events says what each carries. */
export function systemBatch(event: 'welcome' | 'gap' | 'shutdown' | 'joined' | 'left', data: object, runtime: Runtime): Batch {
  return serverBatch({ type: 'system', data: { event, ...data } }, runtime);
}

/** A `gap` message: from `sinceMs` (milliseconds since the epoch) on, messages may be missing. */
export function gapBatch(
  reason: 'subscription' | 'slow_consumer' | 'handler' | 'too_large',
  sinceMs: number,
  runtime: Runtime,
): Batch {
  return systemBatch('gap', { reason, since: timestamp(sinceMs) }, runtime);
}

/** Why a message went no further. */
interface Problem {
  readonly code: ErrorCode;
  readonly reason: string;
  /** The offending message's `id`, where it had a usable one. */
  readonly ref?: string | undefined;
}

/** An `error` message, to the offender alone. */
export function errorBatch({ code, reason, ref }: Problem, runtime: Runtime): Batch {
  return serverBatch({ type: 'error', data: { code, message: reason, ref } }, runtime);
}
