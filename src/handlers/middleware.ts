import type { Observable, OperatorFunction } from 'rxjs';
import type { Effect } from './effect.js';
import type { HandlerContext, HandlerOptions } from './handler.js';
import type { ClientMessage } from '../protocol/protocol.js';

/** All that is handled: from messages to what their handlers want done. */
export type Handle = OperatorFunction<ClientMessage, Effect>;

/** What goes around all handlers of a connection. Made by `wrap`. */
export interface Middleware {
  readonly name: string;
  /** What it counts. */
  readonly events: readonly string[];
  /** The operator, around `handle`. */
  readonly operate: (message$: Observable<ClientMessage>, handle: Handle, context: HandlerContext) => Observable<Effect>;
}

/**
 * An operator around all handlers of a connection, for what concerns every message type: limits, auditing, moderation.
 *
 * It stands before the handlers, `message$.pipe(filter(…), handle)`, and after them, `message$.pipe(handle, map(…))`. Of several, the
 * first is the outermost. Messages that fail their check never come to it; what it changes is checked again.
 *
 * @param name stands in the log, and as `type` in `chat_handler_events_total`
 * @param operate called with the connection's first message. `handle` keeps the handlers' state: pipe through it once. An error
 *   costs the message it came with an `error`, and the state of this wrap and of all that is in it; the next message makes them anew
 */
export function middleware<const E extends string = never>(
  name: string,
  operate: (message$: Observable<ClientMessage>, handle: Handle, context: HandlerContext<E>) => Observable<Effect>,
  { events = [] }: HandlerOptions<E> = {},
): Middleware {
  return { name, events, operate: operate };
}
