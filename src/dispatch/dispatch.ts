import { EMPTY, map, pipe, type OperatorFunction } from 'rxjs';
import { checkedEffect } from '../handlers/checked-effect.js';
import type { Effect, Publish } from '../handlers/effect.js';
import type { Handle, Middleware } from '../handlers/middleware.js';
import { reject, usableRef, type Rejection } from '../handlers/rejection.js';
import { routeBy } from '../operators/routeBy.js';
import { atMost, type ClientMessage } from '../protocol/protocol.js';
import { checkForHandler, isRejection, type BadMessage, type Checked } from './check.js';
import type { CurrentRooms, DispatchContext } from './context.js';
import { OwnContext } from './handler-context.js';

/** An effect of a handler, or a message that failed its check. */
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
      return isolation.rested(type, (message$) => (handler ? handler.operate(message$, own) : EMPTY));
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

/** A handler that has errored this often in a row rests. */
const RESTS_AFTER = 5;

/** The length of a rest, during which its messages get `unavailable`. */
const REST_MS = 10_000;

/** Errors further apart than this are not in a row. */
const IN_A_ROW_MS = 60_000;

/** The longest reason of a rejection that is sent to a client; clients show it in their logs. */
const MAX_REASON_BYTES = 1024;

interface Trouble {
  readonly errors: number;
  readonly lastMs: number;
}

/** Keeps the failures of a handler, its errors and effects that break the rules, from the rest of its connection. */
class Isolation {
  readonly #context: DispatchContext;
  /** Of the handlers that have errored, until their next effect. */
  #troubles: Map<string, Trouble> | undefined;

  constructor(context: DispatchContext) {
    this.#context = context;
  }

  /** The operator; where it has errored too often, a rest before it. */
  rested(type: string, operator: OperatorFunction<ClientMessage, Effect>): OperatorFunction<ClientMessage, Effect> {
    const { scheduler } = this.#context.pod.runtime;
    const untilMs = this.#restsUntilMs(type);
    if (untilMs <= scheduler.now()) return operator;
    const refused = map(({ id }: ClientMessage) => reject('unavailable', `${type} failed too often and rests`, usableRef(id)));
    return routeBy({
      key: () => scheduler.now() < untilMs,
      route: (rests) => (rests ? refused : operator),
    });
  }

  /** The operator has errored. @returns the error of the message that it was handling */
  failed(type: string, error: unknown, message: ClientMessage | undefined): Rejection {
    const { pod, id } = this.#context;
    const lastMs = pod.runtime.scheduler.now();
    const before = this.#troubles?.get(type);
    const inARow = before !== undefined && lastMs - before.lastMs <= IN_A_ROW_MS;
    this.#troubles ??= new Map();
    this.#troubles.set(type, { errors: inARow ? before.errors + 1 : 1, lastMs });
    pod.failures.report(type, error, id);
    return failedMessage(type, usableRef(message?.id));
  }

  /** The operator's teardown has thrown, which is logged. */
  teardownFailed(type: string, error: unknown): void {
    this.#context.pod.failures.report(type, error, this.#context.id);
  }

  /** The effect as it may be run; an error where its handler has broken the rules. */
  checked(name: string, effect: Effect, message: ClientMessage | undefined, isPassedOn = false): Effect {
    try {
      const own = checkedEffect(effect, message, isPassedOn ? this.#ownerOf(effect, name) : name);
      if (own.kind === 'rejection') return this.#rejected(name, own);
      this.#troubles?.delete(name);
      return own;
    } catch (error) {
      this.#context.pod.failures.report(name, error, this.#context.id);
      return failedMessage(name, usableRef(message?.id));
    }
  }

  /** The owner of an effect that a middleware emits: the handler or middleware that `by` names, or this middleware if there is none. */
  #ownerOf(effect: Effect, name: string): string {
    const { by } = (effect as Partial<Publish> | null | undefined) ?? {};
    const { handlers, middleware } = this.#context.pod;
    return by !== undefined && (handlers.has(by) || middleware.some((each) => each.name === by)) ? by : name;
  }

  #rejected(type: string, { code, reason, ref, error }: Rejection): Effect {
    if (error !== undefined) this.#context.pod.failures.report(type, error, this.#context.id);
    return reject(code, atMost(MAX_REASON_BYTES, reason), ref);
  }

  #restsUntilMs(type: string): number {
    const trouble = this.#troubles?.get(type);
    return trouble === undefined || trouble.errors < RESTS_AFTER ? 0 : trouble.lastMs + REST_MS;
  }
}

/** The error that the sender gets where a handler failed. */
export function failedMessage(type: string, ref: string | undefined): Rejection {
  return reject('unavailable', `the handler of ${type} failed`, ref);
}
