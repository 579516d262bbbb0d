import { Subscriber, Subscription, type Observable, type TeardownLogic, type Unsubscribable } from 'rxjs';

/**
 * A `Subscriber` that takes less memory when it has a single teardown, as most subscribers have: 134 bytes instead of 264.
 *
 * RxJS' `Subscription` keeps its teardowns in an array, which takes more memory than the rest of a subscriber. This class keeps the
 * first teardown in a field and leaves the others to `Subscription`. The first may be any object with `unsubscribe()`.
 *
 * It builds on public API of RxJS 7: it overrides `add`, `remove` and `unsubscribe`, and subclasses override `next`, `_next`,
 * `_error` and `_complete`. The one exception is the constructor, which 7.8.2 marks `@deprecated Internal implementation detail`.
 * RxJS 8 replaces it by `operate({ destination, next, … })` and by `new Subscriber(destination, overrides)`; then only the constructors
 * of this file have to change.
 */
export abstract class LeanSubscriber<T> extends Subscriber<T> {
  #source: Unsubscribable | undefined;

  // The only call of Subscriber's deprecated constructor.
  // eslint-disable-next-line @typescript-eslint/no-useless-constructor
  constructor(output?: Subscriber<never>) {
    super(output);
  }

  override add(teardown: TeardownLogic): void {
    if (teardown === this.#source) return;
    if (this.closed || !isObject(teardown) || isInUse(this.#source)) super.add(teardown);
    else if (isInUse(teardown)) this.#source = teardown;
  }

  override remove(teardown: Exclude<TeardownLogic, void>): void {
    if (teardown === this.#source) this.#source = undefined;
    else super.remove(teardown);
  }

  override unsubscribe(): void {
    if (this.closed) return;
    try {
      super.unsubscribe();
    } finally {
      this.#source?.unsubscribe();
      this.#source = undefined;
    }
  }
}

function isObject(teardown: TeardownLogic): teardown is Unsubscribable {
  return typeof teardown === 'object';
}

function isInUse(source: Unsubscribable | undefined): source is Unsubscribable {
  return source instanceof Subscription ? !source.closed : source !== undefined;
}

/**
 * One subscription to an operator: takes the source's values and writes to `output`, the operator's subscriber.
 *
 * Operators that live as long as a connection extend this class instead of using closures: 100,000 connections share its methods, but
 * each would keep closures of its own. An error thrown by `take` becomes the error of `output`.
 */
export abstract class OperatorSubscriber<T, R> extends LeanSubscriber<T> {
  protected readonly output: Subscriber<R>;

  constructor(output: Subscriber<R>) {
    super(output);
    this.output = output;
  }

  /** Takes the next value of the source. */
  protected abstract take(value: T): void;

  /** Overridden because `Subscriber.next` calls `_next`: one call more for each message and member of a room. */
  override next(value: T): void {
    if (this.closed) return;
    try {
      this.take(value);
    } catch (error) {
      this.output.error(error);
    }
  }
}

/** The subscriber to an operator's second source. Values go to a method of the operator, an error to its output; completion is ignored. */
class NotifierSubscriber<S> extends LeanSubscriber<S> {
  readonly #operator: unknown;
  readonly #output: Subscriber<never>;
  readonly #take: (value: S) => void;

  constructor(operator: unknown, output: Subscriber<never>, take: (value: S) => void) {
    super();
    this.#operator = operator;
    this.#output = output;
    this.#take = take;
  }

  protected override _next(value: S): void {
    this.#take.call(this.#operator, value);
  }

  protected override _error(error: unknown): void {
    this.#output.error(error);
  }
}

/**
 * Subscribes an operator to a second source until `output` ends, which may be after the first source has completed.
 *
 * @param take a method of `operator`, called on it and therefore not bound
 */
export function listen<S, K>(
  operator: K,
  output: Subscriber<never>,
  side$: Observable<S>,
  take: (this: K, value: S) => void,
): Subscription {
  const input = new NotifierSubscriber(operator, output, take);
  output.add(input);
  return side$.subscribe(input);
}
