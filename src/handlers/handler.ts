import type { Observable, SchedulerLike } from 'rxjs';
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Effect } from './effect.js';
import type { Logger } from '../runtime/log.js';
import type { ClientMessage } from '../protocol/protocol.js';

/** A message that its handler's schema has checked. */
export interface HandledMessage<D> extends ClientMessage {
  /** As the schema has it. */
  readonly data: D;
}

/** What a handler may know and use: of one connection. */
export interface HandlerContext<E extends string = string> {
  readonly connectionId: string;
  /** Who is talking: `from` of what the connection publishes. */
  readonly identity: string;
  /** The rooms that the connection is in: at once those of the present, then after each change. */
  readonly rooms$: Observable<readonly string[]>;
  /** Every timer and the clock (`now()`, in milliseconds since the epoch); nothing else may tell the time, so that tests can run it. */
  readonly scheduler: SchedulerLike;
  /** A fresh UUIDv7 (RFC 9562). */
  readonly newId: () => string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Names the handler and the connection in each line. Never with a token or a message's content. */
  readonly log: Logger;
  /** Counts one of the handler's `events`, in `chat_handler_events_total{type,event}`. */
  readonly count: (event: E) => void;
}

/** One message type: its check and its operator. Made by `handler`. */
export interface Handler {
  readonly type: string;
  /** What `data` must be: a JSON Schema. */
  readonly schema: TSchema;
  /** What it counts. */
  readonly events: readonly string[];
  /** What is wrong with a message's data, or undefined. */
  readonly check: (data: unknown) => string | undefined;
  /** The operator, of checked messages of one connection. */
  readonly operate: (message$: Observable<ClientMessage>, context: HandlerContext) => Observable<Effect>;
}

/** What a handler, or what goes around all, may say of itself. */
export interface HandlerOptions<E extends string> {
  /** The names that it may count, which is a fixed list since each makes a time series: `['added', 'removed']`. */
  readonly events?: readonly E[];
}

/**
 * A message type as an operator: of one connection, its messages of that type in order, to effects.
 *
 * @param schema what `data` must be; a message that does not fit gets `invalid_message`, with the path of what is wrong, and never
 *   reaches the operator
 * @param operate called with the first message of the type and subscribed to as long as the connection lives. An error costs the
 *   message it came with an `error` (`unavailable`), and the next message makes the operator anew; after five in a row the handler
 *   rests for 10 s. One that completes is done: later messages are ignored. For work that ends later, `perMessage` keeps an
 *   error to its own message
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
    // The check stands between the connection and the operator, so what arrives has the schema's type.
    operate: operate as Handler['operate'],
  };
}
