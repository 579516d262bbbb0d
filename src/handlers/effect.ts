import type { MonoTypeOperatorFunction } from 'rxjs';
import type { Rejection } from './rejection.js';
import type { ClientMessage, Envelope } from '../protocol/protocol.js';

/** A result of a handler, which the connection checks and carries out. */
export type Effect = Reply | Publish | Join | Leave | Transform | Close | Rejection;

/** A message from the server to this connection only. */
export interface Reply {
  readonly kind: 'reply';
  /** Any type except `system` and `error`, which only the service sends: after `join`, `leave` and `reject`. */
  readonly type: string;
  readonly data: unknown;
  /** A new id if absent. */
  readonly id?: string | undefined;
  /** The `id` of the message that it answers; named in the error if the reply cannot be sent. */
  readonly ref?: string | undefined;
  /** The name of the handler. Filled in by the connection. */
  readonly by?: string | undefined;
}

/** A message from this connection to a room; `destination` in dispatch/check.ts chooses the room if none is named. */
export interface Publish {
  readonly kind: 'publish';
  readonly message: ClientMessage;
  /** Another `from` than the connection's identity: 1 to 255 bytes without control characters, and not `server`. */
  readonly as?: string | undefined;
  /** Whether to publish to a room that the connection is not in. Its write permissions still apply. */
  readonly outside?: boolean | undefined;
  readonly ref?: string | undefined;
  /** The name of the handler. Filled in by the connection. */
  readonly by?: string | undefined;
}

/** Joins rooms. The client gets a `joined` for each when its subscription is confirmed. */
export interface Join {
  readonly kind: 'join';
  readonly rooms: readonly string[];
  readonly ref?: string | undefined;
  /** The name of the handler. Filled in by the connection. */
  readonly by?: string | undefined;
}

/** Leaves rooms. The client gets a `left` for each. */
export interface Leave {
  readonly kind: 'leave';
  readonly rooms: readonly string[];
  readonly ref?: string | undefined;
  /** The name of the handler. Filled in by the connection. */
  readonly by?: string | undefined;
}

/** Passes the messages of the connection's rooms through an operator, from now on. */
export interface Transform {
  readonly kind: 'transform';
  readonly operator: MonoTypeOperatorFunction<Envelope> | undefined;
  /** The name of the handler; each has one operator. Filled in by the connection. */
  readonly by?: string | undefined;
}

/** Closes the connection after everything sent before. */
export interface Close {
  readonly kind: 'close';
  readonly code: number;
  readonly reason: string;
}

/** The message that an error refers to. By default, the one that was being handled when the effect was emitted. */
export interface Cause {
  /** The message's `id`. */
  readonly ref?: string | undefined;
}

/**
 * Sends a message from the server to this connection only.
 *
 * @param message its envelope may take `MAX_MESSAGE_BYTES` + 1024 bytes; `data` that JSON cannot represent, such as a `BigInt` or a cycle,
 *   counts as a failure of the handler
 */
export function reply({ type, data, id, ref }: Omit<Reply, 'kind' | 'by'>): Reply {
  return { kind: 'reply', type, data, id, ref };
}

/**
 * Publishes a message to a room, with this connection's identity as `from`. The sender receives it too, like everybody in the room.
 *
 * If the message cannot be published, the sender gets an `error`: `not_in_room` and `room_required` as for clients' own messages,
 * `forbidden` if its token does not grant the room, `invalid_message` if the envelope is larger than `MAX_MESSAGE_BYTES` + 1024 bytes,
 * `unavailable` if more than two publish windows are under way. A type that only the server sends, an invalid `as`, and `data` that JSON
 * cannot represent count as failures of the handler.
 *
 * @param options `as` publishes with another `from`; `outside` allows a room that the connection is not in
 */
export function publish(message: ClientMessage, options?: Cause & Pick<Publish, 'as' | 'outside'>): Publish {
  // Always with all members, so that V8 gives all effects of this kind one hidden class.
  return { kind: 'publish', message, as: options?.as, outside: options?.outside, ref: options?.ref };
}

/**
 * Joins rooms: all of those named, or none. The client gets a `system` message `joined` for each when Redis has confirmed it; only then is
 * the connection in the room.
 *
 * Errors: `invalid_message` for an invalid room name, `forbidden` if the token does not grant the room or the connection would be in more
 * than 100 rooms, `unavailable` while the pod is draining.
 */
export function join(rooms: readonly string[], cause: Cause = {}): Join {
  return { kind: 'join', rooms, ...cause };
}

/**
 * Leaves rooms. The client gets a `system` message `left` for each. If it is not in one of them, it leaves none and gets `not_in_room`.
 */
export function leave(rooms: readonly string[], cause: Cause = {}): Leave {
  return { kind: 'leave', rooms, ...cause };
}

/**
 * Passes the messages of this connection's rooms through an operator, to filter or change them for this connection only, from now on.
 * `system`, `error` and `pong` do not pass through it. Each handler has one operator: another call replaces it, `undefined` removes it.
 * The operators of several handlers are applied in the order in which the handlers first set one.
 *
 * Such a connection no longer shares frames with others, which costs parsing and serializing each message to it.
 *
 * If the operator errors, the current message is lost: the error is logged, the client gets a `gap`, and the operator is restarted. After
 * it completes, the connection gets no more messages of its rooms.
 *
 * @param operator on envelopes as they were published; its output goes to the send buffer
 */
export function transform(operator: MonoTypeOperatorFunction<Envelope> | undefined): Transform {
  return { kind: 'transform', operator };
}

/**
 * Closes the connection.
 *
 * @param code 1000 or 1001, or one of 3000 to 4999 (RFC 6455 section 7.4): clients of this service reconnect after 4000–4499 and do not after 4500–4999
 * @param reason cut to 123 bytes of UTF-8 (RFC 6455 section 5.5.1)
 */
export function close(code: number, reason: string): Close {
  return { kind: 'close', code, reason };
}
