import { Subscriber, Subscription, type Observable, type TeardownLogic, type Unsubscribable } from 'rxjs';

/**
 * A subscriber that is fed by one source, as nearly all are.
 *
 * A Subscription keeps what it has to end in an array, which takes more memory than all else that a subscriber is made of. Here the
 * first has a field of its own, and the array is made for those that have more. The first may be an object that is no Subscription
 * but can be unsubscribed from, which is smaller.
 */
export abstract class LeanSubscriber<T> extends Subscriber<T> {
  #source: Unsubscribable | undefined;

  // Subscriber's constructor is marked as internal to RxJS: this is the one place that builds on it.
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
 * One operator at work in one subscription.
 *
 * Operators that every connection holds all its life are written as a class of this kind: its methods are shared, where closures
 * would be made, and kept, for each of 100,000 connections. What a stage throws becomes the error of its output.
 */
export abstract class OperatorSubscriber<T, R> extends LeanSubscriber<T> {
  protected readonly output: Subscriber<R>;

  constructor(output: Subscriber<R>) {
    super(output);
    this.output = output;
  }

  /** Takes the next value of the source. */
  protected abstract take(value: T): void;

  /** Subscriber's own `next` would go through `_next`: one call more, for each member of a room and message. */
  override next(value: T): void {
    if (this.closed) return;
    try {
      this.take(value);
    } catch (error) {
      this.output.error(error);
    }
  }
}

/** A stage's second source: its values go to a method of the stage, its error to the output, its end means nothing. */
class SideInput<S> extends LeanSubscriber<S> {
  readonly #stage: unknown;
  readonly #output: Subscriber<never>;
  readonly #take: (value: S) => void;

  constructor(stage: unknown, output: Subscriber<never>, take: (value: S) => void) {
    super();
    this.#stage = stage;
    this.#output = output;
    this.#take = take;
  }

  protected override _next(value: S): void {
    this.#take.call(this.#stage, value);
  }

  protected override _error(error: unknown): void {
    this.#output.error(error);
  }
}

/**
 * Subscribes a stage to a second source until its output ends, which may be after the first source has completed.
 *
 * @param take one of the stage's own methods; called on the stage, so that none need be bound
 */
export function listen<S, K>(
  stage: K,
  output: Subscriber<never>,
  side$: Observable<S>,
  take: (this: K, value: S) => void,
): Subscription {
  const input = new SideInput(stage, output, take);
  output.add(input);
  return side$.subscribe(input);
}
