import { Observable, type MonoTypeOperatorFunction, type Observer, type Subscriber } from 'rxjs';
import { Stage, listen } from './stage.js';

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
export function gate<T>(options: GateOptions): MonoTypeOperatorFunction<T> {
  return (source) => new Observable((subscriber) => source.subscribe(new Gate(subscriber, options)));
}

class Gate<T> extends Stage<T, T> {
  readonly #options: GateOptions;
  #waiting: T[] = [];
  #isOpen = false;
  #completed = false;
  #releasing = false;

  constructor(output: Subscriber<T>, options: GateOptions) {
    super(output);
    this.#options = options;
    listen(this, output, options.open$, this.#open);
  }

  protected override take(value: T): void {
    if (this.#isOpen && this.#waiting.length === 0 && !this.#releasing) {
      this.output.next(value);
    } else if (this.#waiting.length >= this.#options.capacity) {
      this.output.error(new GateOverflowError(`more than ${this.#options.capacity} values wait`));
    } else {
      this.#waiting.push(value);
      this.#options.held.next(this.#waiting.length);
    }
  }

  protected override _complete(): void {
    this.#completed = true;
    if (this.#waiting.length === 0) this.output.complete();
    this.unsubscribe();
  }

  #open(open: boolean): void {
    this.#isOpen = open;
    this.#release();
  }

  /** One value at a time, for what it causes may close the gate or come to wait itself. */
  #release(): void {
    if (this.#releasing) return;
    this.#releasing = true;
    let released = false;
    while (this.#isOpen && this.#waiting.length > 0 && !this.output.closed) {
      this.output.next(this.#waiting.shift() as T);
      released = true;
    }
    this.#releasing = false;
    if (released && !this.output.closed) this.#options.held.next(this.#waiting.length);
    if (this.#completed && this.#waiting.length === 0) this.output.complete();
  }
}
