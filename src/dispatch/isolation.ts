import { map, type OperatorFunction } from 'rxjs';
import { causedBy } from '../handlers/caused-by.js';
import type { Effect, Publish } from '../handlers/effect.js';
import { flawOf } from './effect-rules.js';
import { reject, usableRef, type Rejection } from '../handlers/rejection.js';
import { routeBy } from '../operators/routeBy.js';
import type { DispatchContext } from './context.js';
import { atMost, type ClientMessage } from '../protocol/protocol.js';

/** A handler that errors so often in a row rests, */
const RESTS_AFTER = 5;

/** for so long, while its messages get `unavailable`. */
const REST_MS = 10_000;

/** Errors further apart than this are not in a row. */
const IN_A_ROW_MS = 60_000;

/** What a client is told of an error is a sentence. */
const MAX_REASON_BYTES = 1024;

interface Trouble {
  readonly errors: number;
  readonly lastMs: number;
}

/** Keeps what goes wrong in a handler of one connection in that handler: its errors, and effects that break the rules. */
export class Isolation {
  readonly #context: DispatchContext;
  /** Of those that errored and have done nothing since. */
  #troubles: Map<string, Trouble> | undefined;

  constructor(context: DispatchContext) {
    this.#context = context;
  }

  /** The operator, or where it errored again and again, a rest before it. */
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

  /** Its operator has errored, and what it was at is told so. */
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

  /** The teardown of its operator has thrown, which is nobody's business but the log's. */
  teardownFailed(type: string, error: unknown): void {
    this.#context.pod.failures.report(type, error, this.#context.id);
  }

  /** What it wants, by whom and of which message; or an error, where that may not be. */
  wanted(type: string, effect: Effect, message: ClientMessage | undefined): Effect {
    return this.#judged(type, effect, message, false);
  }

  /** What came out of a wrap is whose it was within. */
  passed(name: string, effect: Effect, message: ClientMessage | undefined): Effect {
    return this.#judged(name, effect, message, true);
  }

  /** A handler in plain JavaScript can emit anything, members that throw when they are read included. */
  #judged(name: string, effect: Effect, message: ClientMessage | undefined, isPassed: boolean): Effect {
    try {
      const own = causedBy(effect, message, isPassed ? this.#ownerOf(effect, name) : name);
      const flaw = flawOf(own);
      if (flaw !== undefined) return this.#broke(name, new Error(flaw), message);
      if (own.kind === 'rejection') return this.#rejected(name, own);
      this.#troubles?.delete(name);
      return own;
    } catch (error) {
      return this.#broke(name, error, message);
    }
  }

  /** Of what a wrap hands on; where that names nobody there is, the wrap. */
  #ownerOf(effect: Effect, wrap: string): string {
    const { by } = (effect as Partial<Publish> | null | undefined) ?? {};
    const { handlers, middleware } = this.#context.pod;
    return by !== undefined && (handlers.has(by) || middleware.some(({ name }) => name === by)) ? by : wrap;
  }

  #rejected(type: string, { code, reason, ref, error }: Rejection): Effect {
    if (error !== undefined) this.#context.pod.failures.report(type, error, this.#context.id);
    return reject(code, atMost(MAX_REASON_BYTES, reason), ref);
  }

  #broke(type: string, error: unknown, message: ClientMessage | undefined): Rejection {
    this.#context.pod.failures.report(type, error, this.#context.id);
    return failedMessage(type, usableRef(message?.id));
  }

  #restsUntilMs(type: string): number {
    const trouble = this.#troubles?.get(type);
    return trouble === undefined || trouble.errors < RESTS_AFTER ? 0 : trouble.lastMs + REST_MS;
  }
}

/** What its sender is told where a handler failed. */
export function failedMessage(type: string, ref: string | undefined): Rejection {
  return reject('unavailable', `the handler of ${type} failed`, ref);
}
