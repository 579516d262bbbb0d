import type { Observable, SchedulerLike } from 'rxjs';
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Logger } from './log.js';
import type { ClientMessage, CloseCode } from './protocol.js';

/** What a handler wants done; the connection does it, within the rules. */
export type Effect = Reply | Publish | Close;

/** A message of the server's to this connection alone. */
export interface Reply {
  readonly kind: 'reply';
  readonly type: string;
  readonly data: unknown;
  readonly id?: string | undefined;
}

/** A message from this connection to a room; `destination.ts` says to which where none is named. */
export interface Publish {
  readonly kind: 'publish';
  readonly message: ClientMessage;
}

/** The end of the connection, after everything that was said before. The reason is at most 123 bytes of UTF-8 (RFC 6455 section 5.5.1). */
export interface Close {
  readonly kind: 'close';
  readonly code: CloseCode;
  readonly reason: string;
}

export function reply(message: Omit<Reply, 'kind'>): Reply {
  return { kind: 'reply', ...message };
}

export function publish(message: ClientMessage): Publish {
  return { kind: 'publish', message };
}

export function close(code: CloseCode, reason: string): Close {
  return { kind: 'close', code, reason };
}

/** A message that its handler's schema has checked. */
export interface HandledMessage<D> extends ClientMessage {
  readonly data: D;
}

/** What a handler may know and use: of one connection. */
export interface HandlerContext {
  readonly connectionId: string;
  /** Who is talking: `from` of what the connection publishes. */
  readonly identity: string;
  /** Every timer and the clock; nothing else may tell the time, so that tests can run it. */
  readonly scheduler: SchedulerLike;
  readonly newId: () => string;
  readonly log: Logger;
}

/** One message type: its check and its operator. Made by `handler`. */
export interface Handler {
  readonly type: string;
  /** What is wrong with a message's data, or undefined. */
  readonly check: (data: unknown) => string | undefined;
  readonly operate: (message$: Observable<ClientMessage>, context: HandlerContext) => Observable<Effect>;
}

/**
 * A message type as an operator: of one connection, its messages of that type in order, to effects.
 *
 * @param schema what `data` must be; a message that does not fit gets `invalid_message` and never reaches the operator
 * @param operate made with the first message of the type and subscribed to as long as the connection lives; an error costs the
 *   message it came with an `error`, and the next message makes the operator anew. An error that comes later, as a promise's
 *   does, takes along whatever the operator had under way, under one `error` without `ref`: catch it in the inner stream
 */
export function handler<S extends TSchema>(
  type: string,
  schema: S,
  operate: (message$: Observable<HandledMessage<Static<S>>>, context: HandlerContext) => Observable<Effect>,
): Handler {
  const validator = Compile(schema);
  return {
    type,
    check: (data) => {
      if (validator.Check(data)) return undefined;
      const [problem] = validator.Errors(data);
      return `data${problem?.instancePath ?? ''} ${problem?.message ?? 'does not fit'}`;
    },
    // The check stands between the connection and the operator, so what arrives has the schema's type.
    operate: operate as Handler['operate'],
  };
}
