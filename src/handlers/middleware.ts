import type { Observable, OperatorFunction } from 'rxjs';
import type { Effect } from './effect.js';
import type { HandlerContext, HandlerOptions } from './handler.js';
import type { ClientMessage } from '../protocol/protocol.js';

/** All handlers (and inner middleware) as one operator: from messages to effects. */
export type Handle = OperatorFunction<ClientMessage, Effect>;

/** An operator around all handlers of a connection. Made by `middleware`. */
export interface Middleware {
  readonly name: string;
  /** The names that `count` accepts. */
  readonly events: readonly string[];
  /** The operator. It pipes messages through `handle`. */
  readonly operate: (message$: Observable<ClientMessage>, handle: Handle, context: HandlerContext) => Observable<Effect>;
}

/**
 * Defines an operator around all handlers of a connection, for concerns of every message type: limits, auditing, moderation.
 *
 * It can act before the handlers, `message$.pipe(filter(…), handle)`, and after them, `message$.pipe(handle, map(…))`. The first middleware
 * is the outermost. It gets only messages that passed their check; messages that it changes are checked again.
 *
 * @param name used in the log, and as `type` in `chat_handler_events_total`
 * @param operate called at the connection's first message. Pipe through `handle` once, since it keeps the handlers' state. If it errors,
 *   the current message is answered by an `error`, and the next message restarts this middleware and everything inside it
 */
export function middleware<const E extends string = never>(
  name: string,
  operate: (message$: Observable<ClientMessage>, handle: Handle, context: HandlerContext<E>) => Observable<Effect>,
  { events = [] }: HandlerOptions<E> = {},
): Middleware {
  return { name, events, operate: operate };
}
