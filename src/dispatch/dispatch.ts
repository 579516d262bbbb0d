import { EMPTY, map, pipe, type OperatorFunction } from 'rxjs';
import type { Effect } from '../handlers/effect.js';
import type { Handle, Middleware } from '../handlers/middleware.js';
import type { Rejection } from '../handlers/rejection.js';
import { routeBy } from '../operators/routeBy.js';
import type { ClientMessage } from '../protocol/protocol.js';
import { checkForHandler, isRejection, type BadMessage, type Checked } from './check.js';
import type { CurrentRooms, DispatchContext } from './context.js';
import { OwnContext } from './handler-context.js';
import { Isolation } from './isolation.js';

/** What is to be done about a message. */
export type Outcome = Effect | BadMessage;

/**
 * Each message through the middleware and then through its type's handler; rejections pass. A handler's failure stays its own.
 */
export function dispatched(context: DispatchContext, rooms: Pick<CurrentRooms, 'rooms$'>): OperatorFunction<Checked, Effect> {
  const { handlers, middleware } = context.pod;
  const isolation = new Isolation(context);
  const handled = byType(context, rooms, isolation);
  if (middleware.length === 0) return handled;
  const handle = middleware.reduceRight<Handle>(
    (inner, each) => wrapped(each, inner, isolation, new OwnContext(context, rooms, each.name)),
    pipe(
      map((message) => checkForHandler(message, handlers)),
      handled,
    ),
  );
  return routeBy<Handle, Checked, Effect, Rejection>({
    passes: isRejection,
    key: () => handle,
    route: (all) => all,
  });
}

function byType(
  context: DispatchContext,
  rooms: Pick<CurrentRooms, 'rooms$'>,
  isolation: Isolation,
): OperatorFunction<Checked, Effect> {
  return routeBy<string, Checked, Effect, Rejection>({
    passes: isRejection,
    key: typeOf,
    route: (type) => {
      // A checked message has a handler.
      const handler = context.pod.handlers.get(type);
      const own = new OwnContext(context, rooms, type);
      return isolation.rested(type, (message$) => handler?.operate(message$, own) ?? EMPTY);
    },
    mark: (effect, type, message) => isolation.checked(type, effect, message),
    recover: (error, type, message) => isolation.failed(type, error, message),
    teardownFailed: (error, type) => {
      isolation.teardownFailed(type, error);
    },
  });
}

function wrapped({ name, operate }: Middleware, inner: Handle, isolation: Isolation, own: OwnContext): Handle {
  return routeBy({
    key: () => name,
    route: () => isolation.rested(name, (message$) => operate(message$, inner, own)),
    mark: (effect: Effect, _, message) => isolation.checked(name, effect, message, true),
    recover: (error, _, message): Effect => isolation.failed(name, error, message),
    teardownFailed: (error) => {
      isolation.teardownFailed(name, error);
    },
  });
}

function typeOf({ type }: ClientMessage): string {
  return type;
}
