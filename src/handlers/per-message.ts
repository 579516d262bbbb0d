import { map, from, type ObservableInput, type OperatorFunction } from 'rxjs';
import { checkedEffect } from './checked-effect.js';
import type { Effect } from './effect.js';
import { reject, usableRef, type Rejection } from './rejection.js';
import { mergeBounded } from '../operators/mergeBounded.js';
import type { ClientMessage } from '../protocol/protocol.js';

/** The bounds of `perMessage`. */
export interface PerMessageOptions {
  /** The most messages that are processed at once. The default 1 keeps them in order. */
  readonly concurrency?: number;
  /** The most messages that wait, 32 by default. One more is answered by `unavailable`. */
  readonly queue?: number;
}

const QUEUE = 32;

/**
 * Asynchronous work for each message: a bounded `mergeMap`, in which a failure affects only its own message.
 *
 * A message is answered by `unavailable`, with its own `ref`, if its stream or promise errors, which is also logged, or if too many
 * messages wait. Effects without a `ref` get that of their message.
 *
 * @param project returns a message's effects as an Observable, a promise of one effect, or an array. Add a `timeout` on the context's
 *   scheduler if it might never complete
 */
export function perMessage<M extends ClientMessage>(
  project: (message: M) => ObservableInput<Effect>,
  { concurrency = 1, queue = QUEUE }: PerMessageOptions = {},
): OperatorFunction<M, Effect> {
  return mergeBounded<M, Effect>({
    project: (message) => from(project(message)).pipe(map((effect) => checkedEffect(effect, message))),
    concurrency,
    capacity: queue,
    overflow: ({ id }) => reject('unavailable', 'too many messages of this type wait', usableRef(id)),
    recover: (error, { id }) => failure(error, usableRef(id)),
  });
}

/** The rejection for a handler's failure. `error` is only logged. */
export function failure(error: unknown, ref: string | undefined): Rejection {
  return { ...reject('unavailable', 'the handler failed', ref), error };
}
