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

/** The clock, and the event loop's turns. */
export type Time = Pick<Runtime, 'scheduler' | 'turnEnd$'>;

/** A wait is counted in this many parts: a stall of the process, however long, uses up one of them. */
export const PARTS = 4;

/** How long a wait of `ms` can last in a process that never stands still for longer than a part of it. */
export function longestWaitMs(ms: number): number {
  return ms + ms / PARTS;
}

export interface WithinOptions {
  readonly ms: number;
  readonly time: Time;
  /** What changes as long as the other side does something; the wait begins anew when it has changed. */
  readonly progress?: () => unknown;
  /** But so many times at most, in all; absent: any number. */
  readonly mostWaits?: number;
  /** The error of a source that took too long. */
  readonly late: () => Error;
}

/**
 * Emits once when the process has served for `ms` milliseconds, and what came in meanwhile has been read.
 *
 * A plain timer of a process that was stopped fires as soon as it goes on, before the answers that have long arrived are read from
 * their sockets. This one counts a stall as a part of the wait, and ends with a turn of the event loop.
 */
export function served$(ms: number, { scheduler, turnEnd$ }: Time): Observable<unknown> {
  return interval(ms / PARTS, scheduler).pipe(
    take(PARTS),
    last(),
    switchMap(() => turnEnd$),
    take(1),
  );
}

/** Errors when the source has not completed within `ms` in which the process served and nothing progressed. */
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
