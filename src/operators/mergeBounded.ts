import { Observable, from, type ObservableInput, type OperatorFunction, type Subscriber } from 'rxjs';
import { LeanSubscriber, OperatorSubscriber } from './operator-subscriber.js';

export interface MergeBoundedOptions<T, R> {
  readonly project: (value: T) => ObservableInput<R>;
  /** So many inner streams run at once. */
  readonly concurrency: number;
  /** So many values wait while they do. */
  readonly capacity: number;
  /** What becomes of a value that finds no place to wait. */
  readonly overflow: (value: T) => R;
  /** What becomes of a value whose inner stream errors, or whose `project` throws. */
  readonly recover: (error: unknown, value: T) => R;
}

/**
 * `mergeMap` with a bound on what waits, in which an error costs its own value and no other.
 *
 * With a concurrency of 1 it keeps order. A source that completes is followed when the last inner stream has completed; its error
 * comes through at once and ends the inner streams.
 */
export function mergeBounded<T, R>(options: MergeBoundedOptions<T, R>): OperatorFunction<T, R> {
  return (source) => new Observable((subscriber) => source.subscribe(new Merging(subscriber, options)));
}

class Merging<T, R> extends OperatorSubscriber<T, R> {
  readonly #options: MergeBoundedOptions<T, R>;
  #waiting: T[] = [];
  #running = 0;
  #completed = false;
  #starting = false;

  constructor(output: Subscriber<R>, options: MergeBoundedOptions<T, R>) {
    super(output);
    this.#options = options;
  }

  /** An inner stream is over. */
  ended(): void {
    this.#running -= 1;
    this.#start();
  }

  failed(error: unknown, value: T): void {
    this.output.next(this.#options.recover(error, value));
    this.ended();
  }

  protected override take(value: T): void {
    const { concurrency, capacity, overflow } = this.#options;
    const hasPlace = this.#running < concurrency || this.#waiting.length < capacity;
    if (!hasPlace) {
      this.output.next(overflow(value));
      return;
    }
    this.#waiting.push(value);
    this.#start();
  }

  protected override _complete(): void {
    this.#completed = true;
    this.unsubscribe();
    this.#start();
  }

  /** In a loop, since an inner stream that ends at once would otherwise start the next one deeper in the stack. */
  #start(): void {
    if (this.#starting) return;
    this.#starting = true;
    while (this.#running < this.#options.concurrency && this.#waiting.length > 0 && !this.output.closed) {
      this.#run(this.#waiting.shift() as T);
    }
    this.#starting = false;
    if (this.#completed && this.#running === 0 && this.#waiting.length === 0) this.output.complete();
  }

  #run(value: T): void {
    this.#running += 1;
    const inner = new Inner(this.output, this, value);
    this.output.add(inner);
    try {
      from(this.#options.project(value)).subscribe(inner);
    } catch (error) {
      inner.error(error);
    }
  }
}

/** What comes of one value. */
class Inner<T, R> extends LeanSubscriber<R> {
  readonly #output: Subscriber<R>;
  readonly #merging: Pick<Merging<T, R>, 'ended' | 'failed'>;
  readonly #value: T;

  constructor(output: Subscriber<R>, merging: Pick<Merging<T, R>, 'ended' | 'failed'>, value: T) {
    super();
    this.#output = output;
    this.#merging = merging;
    this.#value = value;
  }

  protected override _next(result: R): void {
    this.#output.next(result);
  }

  protected override _error(error: unknown): void {
    this.unsubscribe();
    this.#merging.failed(error, this.#value);
  }

  protected override _complete(): void {
    this.unsubscribe();
    this.#merging.ended();
  }
}
