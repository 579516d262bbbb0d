import type { MonoTypeOperatorFunction } from 'rxjs';
import type { Rejection } from './rejection.js';
import type { ClientMessage, Envelope } from '../protocol/protocol.js';

/** What a handler wants done; the connection does it, within the rules. */
export type Effect = Reply | Publish | Join | Leave | Transform | Close | Rejection;

/** A message of the server's to this connection alone. */
export interface Reply {
  readonly kind: 'reply';
  /** Any but `system` and `error`, which are the service's own words: `join`, `leave` and `reject` lead to them. */
  readonly type: string;
  readonly data: unknown;
  /** Absent for a fresh one. */
  readonly id?: string | undefined;
  /** To which message; for the error where it cannot be sent. */
  readonly ref?: string | undefined;
  /** Whose answer it is. Filled in by the connection. */
  readonly by?: string | undefined;
}

/** A message from this connection to a room; `handling/destination.ts` says to which where none is named. */
export interface Publish {
  readonly kind: 'publish';
  readonly message: ClientMessage;
  /** Who is said to have sent it, if not who did: 1 to 255 bytes without control characters, and never `server`. */
  readonly as?: string | undefined;
  /** To the room that it names, though the connection is not in it. What the connection may not write to stays shut. */
  readonly outside?: boolean | undefined;
  readonly ref?: string | undefined;
  /** Which handler says it. Filled in by the connection. */
  readonly by?: string | undefined;
}

/** Into rooms: one `joined` for each, as soon as its subscription is confirmed. */
export interface Join {
  readonly kind: 'join';
  readonly rooms: readonly string[];
  readonly ref?: string | undefined;
  /** Whose it is. Filled in by the connection. */
  readonly by?: string | undefined;
}

/** Out of rooms: one `left` for each. */
export interface Leave {
  readonly kind: 'leave';
  readonly rooms: readonly string[];
  readonly ref?: string | undefined;
  /** Whose it is. Filled in by the connection. */
  readonly by?: string | undefined;
}

/** From now on, what is said in its rooms reaches this connection through an operator. */
export interface Transform {
  readonly kind: 'transform';
  readonly operator: MonoTypeOperatorFunction<Envelope> | undefined;
  /** Whose operator it is: each handler has one. Filled in by the connection. */
  readonly by?: string | undefined;
}

/** The end of the connection, after everything that was said before. */
export interface Close {
  readonly kind: 'close';
  readonly code: number;
  readonly reason: string;
}

/** Which message an error tells of. Where a handler does not say, it is the message that was being handled when the effect came. */
export interface Cause {
  /** The message's `id`. */
  readonly ref?: string | undefined;
}

/**
 * Answers this connection alone, as the server.
 *
 * @param message `data` is anything that JSON can write, in all at most `MAX_MESSAGE_BYTES` + 1024 bytes; what it cannot write, a
 *   `BigInt` or a circle, is the handler's own failure
 */
export function reply({ type, data, id, ref }: Omit<Reply, 'kind' | 'by'>): Reply {
  return { kind: 'reply', type, data, id, ref };
}

/**
 * Says something in a room, in the name of this connection's identity. The sender hears it too, as everybody in the room does.
 *
 * What may not be said is told to the sender by an `error`: `not_in_room` and `room_required` by the rules for clients, `forbidden`
 * where its token does not grant the room, `invalid_message` where it is larger than `MAX_MESSAGE_BYTES` + 1024 bytes when written out,
 * `unavailable` where more than two publish windows are under way. A type that only the server sends, a name that nobody may have, and
 * `data` that JSON cannot write are the handler's own failures.
 *
 * @param options `as` names another sender, and `outside` a room that the connection is not in: both have to be said openly
 */
export function publish(message: ClientMessage, options?: Cause & Pick<Publish, 'as' | 'outside'>): Publish {
  // All its members each time: engines are faster where objects are alike.
  return { kind: 'publish', message, as: options?.as, outside: options?.outside, ref: options?.ref };
}

/**
 * Brings this connection into rooms: all of those named, or none. Each is answered by a `system` message `joined` once Redis has
 * confirmed it, and only from then on counts as the connection's.
 *
 * Errors: `invalid_message` for what is no room's name, `forbidden` where its token does not grant the room or it would be in
 * more than 100 rooms, `unavailable` while the pod goes away.
 */
export function join(rooms: readonly string[], cause: Cause = {}): Join {
  return { kind: 'join', rooms, ...cause };
}

/**
 * Takes this connection out of rooms, each answered by a `system` message `left`. Errors: `not_in_room`, and then it leaves none.
 */
export function leave(rooms: readonly string[], cause: Cause = {}): Leave {
  return { kind: 'leave', rooms, ...cause };
}

/**
 * From now on, what is said in its rooms reaches this connection, and no other, through an operator: to leave out, to change.
 * The server's own `system`, `error` and `pong` do not pass through it. Each handler has one operator; a second takes the
 * place of the first, `undefined` removes it, and those of several handlers follow each other in the order in which they first came.
 *
 * Such a connection no longer shares its frames with others, which costs a parse and a write for each message to it.
 *
 * An operator that errors loses the message it was at: it is logged, told to the client by a `gap`, and the operator begins anew.
 * One that completes hears nothing more.
 *
 * @param operator on envelopes as they were published; what it emits is bounded by the send buffer
 */
export function transform(operator: MonoTypeOperatorFunction<Envelope> | undefined): Transform {
  return { kind: 'transform', operator };
}

/**
 * Ends the connection.
 *
 * @param code 1000 or 1001, or one of 3000 to 4999 (RFC 6455 section 7.4): to clients of this service 4000–4499 mean "reconnect" and 4500–4999 "do not"
 * @param reason cut to 123 bytes of UTF-8 (RFC 6455 section 5.5.1)
 */
export function close(code: number, reason: string): Close {
  return { kind: 'close', code, reason };
}
