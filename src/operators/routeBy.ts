import { Observable, Subject, type OperatorFunction } from 'rxjs';

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
}

/**
 * Sends each value through the operator of its key and merges what comes out.
 *
 * It is `groupBy` and `mergeMap` in one, at a fraction of their memory: a route costs nothing until its first value
 * comes, one that errors takes no other with it, and one that completes is done: its later values are ignored. When the
 * source completes, so does each route, and then the whole.
 */
export function routeBy<K, T, R, P extends T & R = never>(options: RouteByOptions<K, T, R, P>): OperatorFunction<T, R> {
  const { passes, key, route, recover } = options;
  return (source) =>
    new Observable((subscriber) => {
      const routes = new Map<K, Subject<Exclude<T, P>>>();
      let current: Exclude<T, P> | undefined;
      let running = 1;
      const finish = () => {
        running -= 1;
        if (running === 0) subscriber.complete();
      };
      const open = (at: K): Subject<Exclude<T, P>> => {
        const values$ = new Subject<Exclude<T, P>>();
        routes.set(at, values$);
        running += 1;
        const fail = (error: unknown) => {
          routes.delete(at);
          if (recover) subscriber.next(recover(error, at, current));
          else subscriber.error(error);
          finish();
        };
        try {
          const routed$ = route(at)(values$);
          subscriber.add(
            routed$.subscribe({
              next: (value) => {
                subscriber.next(value);
              },
              error: fail,
              complete: finish,
            }),
          );
        } catch (error) {
          fail(error);
        }
        return values$;
      };
      subscriber.add(
        source.subscribe({
          next: (value) => {
            if (passes?.(value)) {
              subscriber.next(value);
              return;
            }
            // What a value causes may come back as another value while it is routed.
            const outer = current;
            const routed = (current = value as Exclude<T, P>);
            const at = key(routed);
            (routes.get(at) ?? open(at)).next(routed);
            current = outer;
          },
          error: (error: unknown) => {
            subscriber.error(error);
          },
          complete: () => {
            for (const values$ of routes.values()) values$.complete();
            finish();
          },
        }),
      );
    });
}
