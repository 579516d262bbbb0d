import { Observable, Subject, type OperatorFunction, type Subscriber } from 'rxjs';
import { OperatorSubscriber } from './operator-subscriber.js';

/**
 * Sends some of the values through an operator of their own and merges what it emits with the other values, which pass unchanged.
 *
 * The operator is made with the first of its values, so that a source without any pays nothing for it. Its error and its
 * completion are those of the whole.
 */
export function branch<T, B extends T, R>(
  isOnBranch: (value: T) => value is B,
  operator: () => OperatorFunction<B, R>,
): OperatorFunction<T, Exclude<T, B> | R> {
  return (source) => new Observable((subscriber) => source.subscribe(new BranchSubscriber(subscriber, isOnBranch, operator)));
}

class BranchSubscriber<T, B extends T, R> extends OperatorSubscriber<T, Exclude<T, B> | R> {
  readonly #isOnBranch: (value: T) => value is B;
  readonly #operator: () => OperatorFunction<B, R>;
  #branch$: Subject<B> | undefined;

  constructor(
    output: Subscriber<Exclude<T, B> | R>,
    isOnBranch: (value: T) => value is B,
    operator: () => OperatorFunction<B, R>,
  ) {
    super(output);
    this.#isOnBranch = isOnBranch;
    this.#operator = operator;
  }

  protected override take(value: T): void {
    if (this.#isOnBranch(value)) (this.#branch$ ??= this.#begin()).next(value);
    else this.output.next(value as Exclude<T, B>);
  }

  #begin(): Subject<B> {
    const branch$ = new Subject<B>();
    branch$.pipe(this.#operator()).subscribe(this.output);
    return branch$;
  }
}
