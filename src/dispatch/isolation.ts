import { map, type OperatorFunction } from 'rxjs';
import { checkedEffect } from '../handlers/checked-effect.js';
import type { Effect, Publish } from '../handlers/effect.js';
import { reject, usableRef, type Rejection } from '../handlers/rejection.js';
import { routeBy } from '../operators/routeBy.js';
import type { DispatchContext } from './context.js';
import { atMost, type ClientMessage } from '../protocol/protocol.js';

/** A handler that has errored this often in a row rests. */
const RESTS_AFTER = 5;

/** The length of a rest, during which its messages get `unavailable`. */
const REST_MS = 10_000;

/** Errors further apart than this are not in a row. */
const IN_A_ROW_MS = 60_000;

/** Of an error's reason, which is for a log. */
const MAX_REASON_BYTES = 1024;

interface Trouble {
  readonly errors: number;
  readonly lastMs: number;
}

/** Keeps the failures of a handler, its errors and effects that break the rules, from the rest of its connection. */
export class Isolation {
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

  /** The handler of an effect that a middleware passes on; where it names no handler that there is, the middleware. */
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
