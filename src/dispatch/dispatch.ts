import { map, pipe, type OperatorFunction } from 'rxjs';
import type { Effect } from '../handlers/effect.js';
import { OwnContext } from './handler-context.js';
import { Isolation } from './isolation.js';
import { recheckMessage, type Accepted } from './check.js';
import type { Rejection } from '../handlers/rejection.js';
import { routeBy } from '../operators/routeBy.js';
import type { CurrentRooms, DispatchContext } from './context.js';
import type { Handle, Middleware } from '../handlers/middleware.js';

/** A message that may be handled, or the reason why not, which goes by. */
export type Checked = Accepted | Rejection;

/** Each message through its type's operator, and through what goes around all of them. A handler's failure is its own. */
export function dispatched(
  context: DispatchContext,
  membership: Pick<CurrentRooms, 'rooms$'>,
): OperatorFunction<Checked, Effect> {
  const { handlers, middleware } = context.pod;
  const isolation = new Isolation(context);
  const typed = byType(context, membership, isolation);
  if (middleware.length === 0) return typed;
  const handle = middleware.reduceRight<Handle>(
    (inner, each) => wrapped(each, inner, isolation, new OwnContext(context, membership, each.name)),
    pipe(
      map((message) => recheckMessage(message, handlers)),
      typed,
    ),
  );
  return routeBy<Handle, Checked, Effect, Rejection>({
    passes: isRejection,
    key: () => handle,
    route: (all) => pipe(map(messageOf), all),
  });
}

function byType(
  context: DispatchContext,
  membership: Pick<CurrentRooms, 'rooms$'>,
  isolation: Isolation,
): OperatorFunction<Checked, Effect> {
  return routeBy<Accepted['handler'], Checked, Effect, Rejection>({
    passes: isRejection,
    key: ({ handler }) => handler,
    route: ({ type, operate }) => {
      const own = new OwnContext(context, membership, type);
      return pipe(
        map(messageOf),
        isolation.rested(type, (message$) => operate(message$, own)),
      );
    },
    mark: (effect, { type }, accepted) => isolation.wanted(type, effect, accepted?.message),
    recover: (error, { type }, accepted) => isolation.failed(type, error, accepted?.message),
    teardownFailed: (error, { type }) => {
      isolation.teardownFailed(type, error);
    },
  });
}

function wrapped({ name, operate }: Middleware, inner: Handle, isolation: Isolation, own: OwnContext): Handle {
  return routeBy({
    key: () => name,
    route: () => isolation.rested(name, (message$) => operate(message$, inner, own)),
    mark: (effect: Effect, _, message) => isolation.passed(name, effect, message),
    recover: (error, _, message): Effect => isolation.failed(name, error, message),
    teardownFailed: (error) => {
      isolation.teardownFailed(name, error);
    },
  });
}

function isRejection(verdict: Checked): verdict is Rejection {
  return verdict.kind === 'rejection';
}

function messageOf({ message }: Accepted): Accepted['message'] {
  return message;
}
