import { Observable, type MonoTypeOperatorFunction, type Observer, type Subscriber } from 'rxjs';
import { OperatorSubscriber, listen } from './operator-subscriber.js';

/** More than `capacity` values came while the gate was closed. */
export class GateOverflowError extends Error {}

export interface GateOptions<T> {
  /** Whether values may pass. The gate is closed until this emits true; a BehaviorSubject opens it at once. */
  readonly open$: Observable<boolean>;
  /** The most values that may wait. One more errors with `GateOverflowError`. */
  readonly capacity: number;
  /** The weight of a waiting value. */
  readonly weigh: (value: T) => number;
  /** Gets the total weight of the waiting values at each change, so that the source can be slowed down; 0 after the gate ended. */
  readonly held: Pick<Observer<number>, 'next'>;
}

/**
 * Passes values while the gate is open, and holds them in order while it is closed.
 *
 * If a released value closes the gate again, the values behind it stay. The output completes once the source has completed and nothing
 * waits; an error of the source passes at once.
 */
export function gate<T>(options: GateOptions<T>): MonoTypeOperatorFunction<T> {
  return (source) => new Observable((subscriber) => source.subscribe(new GateSubscriber(subscriber, options)));
}

class GateSubscriber<T> extends OperatorSubscriber<T, T> {
  readonly #options: GateOptions<T>;
  #waiting: T[] = [];
  #weight = 0;
  /** The weight that was reported last. */
  #reported = 0;
  #isOpen = false;
  #completed = false;
  #releasing = false;

  constructor(output: Subscriber<T>, options: GateOptions<T>) {
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
      this.#weight += this.#options.weigh(value);
      this.#report(this.#weight);
    }
  }

  protected override _complete(): void {
    this.#completed = true;
    if (this.#waiting.length === 0) {
      this.output.complete();
      this.unsubscribe();
      return;
    }
    super.unsubscribe();
    this.output.add(() => {
      this.#drop();
    });
  }

  override unsubscribe(): void {
    if (this.closed) return;
    super.unsubscribe();
    this.#drop();
  }

  #open(open: boolean): void {
    this.#isOpen = open;
    this.#release();
  }

  /** A released value may close the gate, or cause another value, which then has to wait behind the others. */
  #release(): void {
    if (this.#releasing) return;
    this.#releasing = true;
    while (this.#isOpen && this.#waiting.length > 0 && !this.output.closed) {
      const value = this.#waiting.shift() as T;
      this.#weight -= this.#options.weigh(value);
      this.output.next(value);
    }
    this.#releasing = false;
    if (!this.output.closed) this.#report(this.#weight);
    if (this.#completed && this.#waiting.length === 0) this.output.complete();
  }

  /** Discards what waits. Reports 0 even if nothing waits: the last released value may have ended the gate before its weight was reported. */
  #drop(): void {
    this.#waiting = [];
    this.#report((this.#weight = 0));
  }

  #report(weight: number): void {
    if (weight === this.#reported) return;
    this.#reported = weight;
    this.#options.held.next(weight);
  }
}
