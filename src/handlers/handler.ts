import type { Observable, SchedulerLike } from 'rxjs';
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Effect } from './effect.js';
import type { Logger } from '../runtime/log.js';
import type { ClientMessage } from '../protocol/protocol.js';

/** A message that its handler's schema has checked. */
export interface HandledMessage<D> extends ClientMessage {
  /** Of the schema's type. */
  readonly data: D;
}

/** The connection that a handler works for, and the resources that it may use. */
export interface HandlerContext<E extends string = string> {
  readonly connectionId: string;
  /** The client's identity: `from` of the messages that the connection publishes. */
  readonly identity: string;
  /** The rooms that the connection is in: the current ones on subscription, then after each change. */
  readonly rooms$: Observable<readonly string[]>;
  /** The scheduler for all timers, and the clock: `now()` in milliseconds since the epoch. Tests replace it by virtual time. */
  readonly scheduler: SchedulerLike;
  /** Returns a new UUIDv7 (RFC 9562). */
  readonly newId: () => string;
  /** Returns a random number, uniform in [0, 1). */
  readonly random: () => number;
  /** Adds the handler and the connection to each line. Do not log tokens or the content of messages. */
  readonly log: Logger;
  /** Counts one of the handler's `events`, in `chat_handler_events_total{type,event}`. */
  readonly count: (event: E) => void;
}

/** A message type with its schema and operator. Made by `handler`. */
export interface Handler {
  readonly type: string;
  /** The JSON Schema of `data`. */
  readonly schema: TSchema;
  /** The names that `count` accepts. */
  readonly events: readonly string[];
  /** Checks a message's data. Returns the reason if it is invalid, otherwise undefined. */
  readonly check: (data: unknown) => string | undefined;
  /** The operator on the checked messages of one connection. */
  readonly operate: (message$: Observable<ClientMessage>, context: HandlerContext) => Observable<Effect>;
}

/** Options of a handler or middleware. */
export interface HandlerOptions<E extends string> {
  /** The names that it may count, such as `['added', 'removed']`. Fixed, because each is a Prometheus time series. */
  readonly events?: readonly E[];
}

/**
 * Defines a message type: an operator from one connection's messages of that type, in order, to effects.
 *
 * @param schema the type of `data`; a message that does not match is answered by `invalid_message`, with the path of the mismatch, and does
 *   not reach the operator
 * @param operate called at the first message of the type, and subscribed to until the connection ends. If it errors, the current message
 *   is answered by an `error` (`unavailable`), and the next message restarts the operator; after five errors in a row the handler pauses
 *   for 10 s. After it completes, later messages are ignored. For asynchronous work, `perMessage` limits an error to its own message
 */
export function handler<S extends TSchema, const E extends string = never>(
  type: string,
  schema: S,
  operate: (message$: Observable<HandledMessage<Static<S>>>, context: HandlerContext<E>) => Observable<Effect>,
  { events = [] }: HandlerOptions<E> = {},
): Handler {
  const validator = Compile(schema);
  return {
    type,
    schema,
    events,
    check: (data) => {
      if (validator.Check(data)) return undefined;
      const [problem] = validator.Errors(data);
      return `data${problem?.instancePath ?? ''} ${problem?.message ?? 'does not fit'}`;
    },
    // Messages are checked before they reach the operator, so they have the schema's type.
    operate: operate as Handler['operate'],
  };
}
