import { Observable, type MonoTypeOperatorFunction, type Observer, type Subscriber } from 'rxjs';
import { OperatorSubscriber, listen } from './operator-subscriber.js';

/** More values came while the gate was closed than it may hold. */
export class GateOverflowError extends Error {}

export interface GateOptions<T> {
  /** Whether values may pass; closed until it says otherwise. Best replayed (a BehaviorSubject). */
  readonly open$: Observable<boolean>;
  /** So many values may wait; one more errors with `GateOverflowError`. */
  readonly capacity: number;
  /** What a value weighs while it waits. */
  readonly weigh: (value: T) => number;
  /** Told what all that wait weigh together, at each change, so that the source can be held back; 0 when the gate is gone. */
  readonly held: Pick<Observer<number>, 'next'>;
}

/**
 * Passes values while it is open and holds them, in order, while it is closed.
 *
 * A value that closes the gate while held values are let go stops them there. A source that completes is followed when
 * the last held value has gone; an error comes through at once.
 */
export function gate<T>(options: GateOptions<T>): MonoTypeOperatorFunction<T> {
  return (source) => new Observable((subscriber) => source.subscribe(new Gate(subscriber, options)));
}

class Gate<T> extends OperatorSubscriber<T, T> {
  readonly #options: GateOptions<T>;
  #waiting: T[] = [];
  #weight = 0;
  /** The weight that was told last. */
  #told = 0;
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
      this.#tell(this.#weight);
    }
  }

  protected override _complete(): void {
    this.#completed = true;
    if (this.#waiting.length === 0) {
      this.output.complete();
      this.unsubscribe();
      return;
    }
    // The source is done with; what waits is not.
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

  /** One value at a time, for what it causes may close the gate or come to wait itself. */
  #release(): void {
    if (this.#releasing) return;
    this.#releasing = true;
    while (this.#isOpen && this.#waiting.length > 0 && !this.output.closed) {
      const value = this.#waiting.shift() as T;
      this.#weight -= this.#options.weigh(value);
      this.output.next(value);
    }
    this.#releasing = false;
    if (!this.output.closed) this.#tell(this.#weight);
    if (this.#completed && this.#waiting.length === 0) this.output.complete();
  }

  /** What waits is lost with the gate. The last value may have ended it, when nothing waits but what was told is still to be taken back. */
  #drop(): void {
    this.#waiting = [];
    this.#tell((this.#weight = 0));
  }

  #tell(weight: number): void {
    if (weight === this.#told) return;
    this.#told = weight;
    this.#options.held.next(weight);
  }
}
