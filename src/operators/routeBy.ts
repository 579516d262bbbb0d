import { Observable, Subject, type OperatorFunction, type Subscriber } from 'rxjs';
import { LeanSubscriber, OperatorSubscriber } from './operator-subscriber.js';

export interface RouteByOptions<K, T, R, P extends T & R> {
  /** Values that go by unchanged and need no route. */
  readonly passes?: (value: T) => value is P;
  readonly key: (value: Exclude<T, P>) => K;
  /** The operator for the values of a key, made with the first of them. */
  readonly route: (key: K) => OperatorFunction<Exclude<T, P>, R>;
  /**
   * What a route's error becomes; the route itself is over, and the next value of its key makes a new one.
   * `value` is the value that was being routed when the error came, if one was. Absent: a route's error is everybody's.
   */
  readonly recover?: (error: unknown, key: K, value: Exclude<T, P> | undefined) => R;
  /** What becomes of each thing that a route emits; `value` is the value that was being routed to it then, if one was. */
  readonly mark?: (result: R, key: K, value: Exclude<T, P> | undefined) => R;
  /** Told what the teardown of a route threw, which then keeps nobody else from theirs. Absent: it is thrown on. */
  readonly teardownFailed?: ((error: unknown, key: K) => void) | undefined;
}

/**
 * Sends each value through the operator of its key and merges what comes out.
 *
 * It is `groupBy` and `mergeMap` in one, at a fraction of their memory: a route costs nothing until its first value
 * comes, one that errors takes no other with it, and one that completes is done: its later values are ignored. When the
 * source completes, so does each route, and then the whole.
 */
export function routeBy<K, T, R, P extends T & R = never>(options: RouteByOptions<K, T, R, P>): OperatorFunction<T, R> {
  return (source) => new Observable((subscriber) => source.subscribe(new Routing(subscriber, options)));
}

class Routing<K, T, R, P extends T & R> extends OperatorSubscriber<T, R> {
  readonly #options: RouteByOptions<K, T, R, P>;
  readonly #routes = new Map<K, Subject<Exclude<T, P>>>();
  /** The value on its way; what it causes may come back as another value meanwhile. */
  #current: Exclude<T, P> | undefined;
  #currentKey: K | undefined;
  /** Routes, and the source. */
  #running = 1;

  constructor(output: Subscriber<R>, options: RouteByOptions<K, T, R, P>) {
    super(output);
    this.#options = options;
  }

  /** A route is over, as its own end or by an error. */
  ended(): void {
    this.#running -= 1;
    if (this.#running === 0) this.output.complete();
  }

  emitted(key: K, result: R): void {
    const { mark } = this.#options;
    this.output.next(mark === undefined ? result : mark(result, key, this.#valueFor(key)));
  }

  failed(key: K, error: unknown): void {
    const { recover } = this.#options;
    this.#routes.delete(key);
    if (recover) this.output.next(recover(error, key, this.#valueFor(key)));
    else this.output.error(error);
    this.ended();
  }

  teardownFailed(key: K, error: unknown): void {
    const { teardownFailed } = this.#options;
    if (teardownFailed === undefined) throw error;
    teardownFailed(error, key);
  }

  protected override take(value: T): void {
    const { passes, key } = this.#options;
    if (passes?.(value)) {
      this.output.next(value);
      return;
    }
    const outer = this.#current;
    const outerKey = this.#currentKey;
    const routed = (this.#current = value as Exclude<T, P>);
    const at = (this.#currentKey = key(routed));
    (this.#routes.get(at) ?? this.#open(at)).next(routed);
    this.#current = outer;
    this.#currentKey = outerKey;
  }

  protected override _complete(): void {
    for (const values$ of this.#routes.values()) values$.complete();
    this.unsubscribe();
    this.ended();
  }

  /** A route may emit while a value is on its way to another. */
  #valueFor(key: K): Exclude<T, P> | undefined {
    return this.#currentKey === key ? this.#current : undefined;
  }

  #open(key: K): Subject<Exclude<T, P>> {
    const values$ = new Subject<Exclude<T, P>>();
    this.#routes.set(key, values$);
    this.#running += 1;
    try {
      this.#options
        .route(key)(values$)
        .subscribe(new Route(this.output, this, key));
    } catch (error) {
      this.failed(key, error);
    }
    return values$;
  }
}

type Host<K, R> = Pick<Routing<K, never, R, never>, 'emitted' | 'ended' | 'failed' | 'teardownFailed'>;

/** What comes out of one route. */
class Route<K, R> extends LeanSubscriber<R> {
  readonly #routing: Host<K, R>;
  readonly #key: K;

  constructor(output: Subscriber<R>, routing: Host<K, R>, key: K) {
    super(output);
    this.#routing = routing;
    this.#key = key;
  }

  override unsubscribe(): void {
    try {
      super.unsubscribe();
    } catch (error) {
      this.#routing.teardownFailed(this.#key, error);
    }
  }

  protected override _next(value: R): void {
    this.#routing.emitted(this.#key, value);
  }

  protected override _error(error: unknown): void {
    // First, since its teardown may throw too: it is the error that its message is told of.
    try {
      this.#routing.failed(this.#key, error);
    } finally {
      this.unsubscribe();
    }
  }

  protected override _complete(): void {
    this.unsubscribe();
    this.#routing.ended();
  }
}
