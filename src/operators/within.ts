import {
  defer,
  dematerialize,
  ignoreElements,
  interval,
  last,
  map,
  materialize,
  merge,
  repeat,
  switchMap,
  take,
  type MonoTypeOperatorFunction,
  type Observable,
} from 'rxjs';
import type { Runtime } from '../runtime/runtime.js';

/** The clock and the turns of the event loop. */
export type Time = Pick<Runtime, 'scheduler' | 'turnEnd$'>;

/** A wait is made of this many timers in sequence, so that a stall of the process, however long, uses up only one of them. */
export const PARTS = 4;

/** The longest that a wait of `ms` can take if the process never stalls for longer than one part of it. */
export function longestWaitMs(ms: number): number {
  return ms + ms / PARTS;
}

export interface WithinOptions {
  readonly ms: number;
  readonly time: Time;
  /** Returns a value that changes while the other side makes progress. The wait starts again if it has changed. */
  readonly progress?: () => unknown;
  /** The most waits in total. No limit if absent. */
  readonly mostWaits?: number;
  /** Makes the error for a source that took too long. */
  readonly late: () => Error;
}

/**
 * Emits once when the process has been running for `ms` milliseconds and has read the input that arrived meanwhile.
 *
 * After a stall (SIGSTOP, a long garbage collection), a plain timer fires before the process reads answers that arrived long ago. This one
 * counts a stall as at most a quarter of the wait, and emits at the end of a turn of the event loop.
 */
export function served$(ms: number, { scheduler, turnEnd$ }: Time): Observable<unknown> {
  return interval(ms / PARTS, scheduler).pipe(
    take(PARTS),
    last(),
    switchMap(() => turnEnd$),
    take(1),
  );
}

/** A `timeout` that a stall of the process does not trigger: errors if the source has not completed within `served$(ms)` without progress. */
export function within<T>({ ms, time, progress, mostWaits = Infinity, late }: WithinOptions): MonoTypeOperatorFunction<T> {
  const late$ = defer(() => {
    let waits = 0;
    const wait$ = defer(() => {
      const before = progress?.();
      return served$(ms, time).pipe(
        map(() => {
          waits += 1;
          if (progress?.() === before || waits >= mostWaits) throw late();
        }),
      );
    });
    return wait$.pipe(repeat(), ignoreElements());
  });
  return (source$) => merge(source$.pipe(materialize()), late$).pipe(dematerialize());
}
