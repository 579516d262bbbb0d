import { Observable, type MonoTypeOperatorFunction, type Observer } from 'rxjs';

/** More values came while the gate was closed than it may hold. */
export class GateOverflowError extends Error {}

export interface GateOptions {
  /** Whether values may pass; closed until it says otherwise. Best replayed (a BehaviorSubject). */
  readonly open$: Observable<boolean>;
  /** So many values may wait; one more errors with `GateOverflowError`. */
  readonly capacity: number;
  /** Told how many values wait, at each change, so that the source can be held back. */
  readonly held: Pick<Observer<number>, 'next'>;
}

/**
 * Passes values while it is open and holds them, in order, while it is closed.
 *
 * A value that closes the gate while held values are let go stops them there. A source that completes is followed when
 * the last held value has gone; an error comes through at once.
 */
export function gate<T>({ open$, capacity, held }: GateOptions): MonoTypeOperatorFunction<T> {
  return (source) =>
    new Observable((subscriber) => {
      let waiting: T[] = [];
      let isOpen = false;
      let completed = false;
      let releasing = false;
      const fail = (error: unknown) => {
        subscriber.error(error);
      };
      const release = () => {
        if (releasing) return;
        releasing = true;
        let gone = 0;
        while (isOpen && gone < waiting.length && !subscriber.closed) subscriber.next(waiting[gone++] as T);
        releasing = false;
        waiting = waiting.slice(gone);
        if (gone > 0) held.next(waiting.length);
        if (completed && waiting.length === 0) subscriber.complete();
      };
      const next = (value: T) => {
        if (isOpen && waiting.length === 0) {
          subscriber.next(value);
        } else if (waiting.length >= capacity) {
          fail(new GateOverflowError(`more than ${capacity} values wait`));
        } else {
          waiting.push(value);
          held.next(waiting.length);
        }
      };
      subscriber.add(
        open$.subscribe({
          next: (open) => {
            isOpen = open;
            if (open) release();
          },
          error: fail,
        }),
      );
      const complete = () => {
        completed = true;
        if (waiting.length === 0) subscriber.complete();
      };
      subscriber.add(source.subscribe({ next, error: fail, complete }));
    });
}
