import { map, from, type ObservableInput, type OperatorFunction } from 'rxjs';
import { checkedEffect } from './checked-effect.js';
import type { Effect } from './effect.js';
import { reject, usableRef, type Rejection } from './rejection.js';
import { mergeBounded } from '../operators/mergeBounded.js';
import type { ClientMessage } from '../protocol/protocol.js';

/** The bounds of `perMessage`. */
export interface PerMessageOptions {
  /** So many messages are worked on at once; 1, the default, keeps them in order. */
  readonly concurrency?: number;
  /** So many wait meanwhile, 32 if not said; one more gets `unavailable`. */
  readonly queue?: number;
}

const QUEUE = 32;

/**
 * Work that ends later, message by message: what `mergeMap` is to other streams.
 *
 * It is bounded, and what goes wrong with a message costs that message alone an `error`, with its own `ref`: `unavailable` where the
 * stream or promise errors, which is logged too, and where too many wait. What it emits and names no `ref` has that of its message.
 *
 * @param project a message's effects: an Observable, a promise of one effect, or an array. Give what may never end a `timeout` on the
 *   context's scheduler
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

/** What a handler's failure tells the sender; the log hears of the error itself. */
export function failure(error: unknown, ref: string | undefined): Rejection {
  return { ...reject('unavailable', 'the handler failed', ref), error };
}
