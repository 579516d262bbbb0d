import { Observable, type OperatorFunction } from 'rxjs';

/** Nothing was heard for the whole timeout. */
export class HeartbeatTimeoutError extends Error {}

export interface HeartbeatOptions<T, P> {
  /** When to look at the clock; nothing happens between two ticks. One serves any number of heartbeats. */
  readonly tick$: Observable<unknown>;
  /** The clock, in milliseconds. */
  readonly now: () => number;
  /** From the start to the first ping: chance, so that connections made together are not pinged together. */
  readonly firstPingMs: number;
  readonly pingIntervalMs: number;
  readonly pongTimeoutMs: number;
  /** Tells true while the source is not read, which is no fault of the peer: the clock of the timeout stands still. */
  readonly paused$: Observable<boolean>;
  /** Emitted when a ping is due. */
  readonly ping: P;
  /** Values that say no more than that the peer lives; they go no further. */
  readonly isSignOfLife: (value: T) => boolean;
}

/**
 * Passes values on, asks for a ping at each interval, and errors with `HeartbeatTimeoutError` at the first tick at which no value
 * had come for the timeout.
 *
 * Any value is a sign of life. It keeps a few numbers per subscription and no timer.
 */
export function heartbeat<T, P>(options: HeartbeatOptions<T, P>): OperatorFunction<T, T | P> {
  const { tick$, now, firstPingMs, pingIntervalMs, pongTimeoutMs, paused$, ping, isSignOfLife } = options;
  return (source) =>
    new Observable((subscriber) => {
      let heardMs = now();
      let pingMs = heardMs + firstPingMs;
      let pausedMs: number | undefined;
      const fail = (error: unknown) => {
        subscriber.error(error);
      };
      const tick = () => {
        const nowMs = now();
        const silentMs = (pausedMs ?? nowMs) - heardMs;
        if (silentMs >= pongTimeoutMs) {
          fail(new HeartbeatTimeoutError(`nothing heard for ${pongTimeoutMs} ms`));
        } else if (nowMs >= pingMs) {
          pingMs += Math.ceil((nowMs - pingMs + 1) / pingIntervalMs) * pingIntervalMs;
          subscriber.next(ping);
        }
      };
      const pause = (paused: boolean) => {
        if (paused) pausedMs ??= now();
        else if (pausedMs !== undefined) {
          heardMs += now() - pausedMs;
          pausedMs = undefined;
        }
      };
      const next = (value: T) => {
        heardMs = pausedMs ?? now();
        if (!isSignOfLife(value)) subscriber.next(value);
      };
      const complete = () => {
        subscriber.complete();
      };
      subscriber.add(tick$.subscribe({ next: tick, error: fail }));
      subscriber.add(paused$.subscribe({ next: pause, error: fail }));
      subscriber.add(source.subscribe({ next, error: fail, complete }));
    });
}
