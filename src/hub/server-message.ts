import { textBatch, type Batch } from './frame.js';
import { SERVER_ID, timestamp, writeEnvelope, type ErrorCode } from '../protocol/protocol.js';
import type { Runtime } from '../runtime/runtime.js';

/** A message of the server's own, without the members of the envelope that the server fills in. */
export interface ServerMessage {
  readonly type: string;
  readonly data: unknown;
  /** Absent if the message is for one connection. */
  readonly room?: string;
  /** A new id if absent. */
  readonly id?: string | undefined;
}

/** The envelope of a server message, as JSON. */
export function writeServerMessage({ type, data, room, id }: ServerMessage, { wallMs, newId }: Runtime): string {
  return writeEnvelope({ id: id ?? newId(), type, room, from: SERVER_ID, data, timestamp: timestamp(wallMs()) });
}

/** A server message to one connection. */
export function serverBatch(message: ServerMessage, runtime: Runtime): Batch {
  return textBatch(writeServerMessage(message, runtime));
}

/** A `system` message. @param data the members that docs/protocol.md lists for the event */
export function systemBatch(event: 'welcome' | 'gap' | 'shutdown' | 'joined' | 'left', data: object, runtime: Runtime): Batch {
  return serverBatch({ type: 'system', data: { event, ...data } }, runtime);
}

/** A `gap` message: messages may be missing from `sinceMs` (milliseconds since the epoch) on. */
export function gapBatch(
  reason: 'subscription' | 'slow_consumer' | 'handler' | 'too_large',
  sinceMs: number,
  runtime: Runtime,
): Batch {
  return systemBatch('gap', { reason, since: timestamp(sinceMs) }, runtime);
}

/** The content of an `error` message. */
interface Problem {
  readonly code: ErrorCode;
  readonly reason: string;
  /** The `id` of the refused message, if usable. */
  readonly ref?: string | undefined;
}

/** An `error` message. */
export function errorBatch({ code, reason, ref }: Problem, runtime: Runtime): Batch {
  return serverBatch({ type: 'error', data: { code, message: reason, ref } }, runtime);
}
