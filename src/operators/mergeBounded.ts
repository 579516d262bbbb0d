import { Observable, from, type ObservableInput, type OperatorFunction, type Subscriber } from 'rxjs';
import { LeanSubscriber, OperatorSubscriber } from './operator-subscriber.js';

export interface MergeBoundedOptions<T, R> {
  readonly project: (value: T) => ObservableInput<R>;
  /** The most inner streams that run at once. */
  readonly concurrency: number;
  /** The most values that wait for a free inner stream. */
  readonly capacity: number;
  /** The result for a value that finds the queue full. */
  readonly overflow: (value: T) => R;
  /** The result for a value whose inner stream errors or whose `project` throws. */
  readonly recover: (error: unknown, value: T) => R;
}

/**
 * `mergeMap` with a bounded queue, in which an error of one inner stream does not end the others.
 *
 * With a concurrency of 1 it keeps the order. The output completes when the source and all inner streams have completed; an error of the
 * source passes at once and unsubscribes from the inner streams.
 */
export function mergeBounded<T, R>(options: MergeBoundedOptions<T, R>): OperatorFunction<T, R> {
  return (source) => new Observable((subscriber) => source.subscribe(new MergeBoundedSubscriber(subscriber, options)));
}

class MergeBoundedSubscriber<T, R> extends OperatorSubscriber<T, R> {
  readonly #options: MergeBoundedOptions<T, R>;
  #waiting: T[] = [];
  #running = 0;
  #completed = false;
  #starting = false;

  constructor(output: Subscriber<R>, options: MergeBoundedOptions<T, R>) {
    super(output);
    this.#options = options;
  }

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

  /** A loop, because an inner stream that completes synchronously would otherwise start the next one deeper in the stack. */
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
    const inner = new InnerSubscriber(this.output, this, value);
    this.output.add(inner);
    try {
      from(this.#options.project(value)).subscribe(inner);
    } catch (error) {
      inner.error(error);
    }
  }
}

/** The subscriber to the inner stream of one value. */
class InnerSubscriber<T, R> extends LeanSubscriber<R> {
  readonly #output: Subscriber<R>;
  readonly #parent: Pick<MergeBoundedSubscriber<T, R>, 'ended' | 'failed'>;
  readonly #value: T;

  constructor(output: Subscriber<R>, parent: Pick<MergeBoundedSubscriber<T, R>, 'ended' | 'failed'>, value: T) {
    super();
    this.#output = output;
    this.#parent = parent;
    this.#value = value;
  }

  protected override _next(result: R): void {
    this.#output.next(result);
  }

  protected override _error(error: unknown): void {
    this.unsubscribe();
    this.#parent.failed(error, this.#value);
  }

  protected override _complete(): void {
    this.unsubscribe();
    this.#parent.ended();
  }
}
