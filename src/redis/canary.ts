import { BehaviorSubject, concat, defer, filter, ignoreElements, take, type Observable } from 'rxjs';
import { within, type Time } from '../operators/within.js';
import { LinkError } from './link.js';

/** What comes before a canary may hold it up so many times as long: beyond that it will not come, or what does is of no use any more. */
const MOST_WAITS = 5;

/** A canary was accepted and did not arrive in time: publisher and subscription do not speak to the same Redis, or one of them is dead. */
export class StrayError extends LinkError {}

export interface CanaryOptions {
  /** A channel that nobody else subscribes to; it may be another one later. */
  readonly channel: () => string;
  /** Errors as `Broker.publish` does. */
  readonly publish: (channel: string, payload: string) => Observable<never>;
  /** How long what Redis accepted may take to arrive. */
  readonly timeoutMs: number;
  readonly time: Time;
}

/**
 * What a pod publishes for itself, to see whether it comes back: the one proof that publisher and subscription are alive and talk
 * to the same Redis.
 */
export class Canary {
  readonly #options: CanaryOptions;
  readonly #heard$ = new BehaviorSubject('');
  #flights = 0;

  constructor(options: CanaryOptions) {
    this.#options = options;
  }

  get channel(): string {
    return this.#options.channel();
  }

  /** To be called with what came through the channel. */
  hear(payload: Buffer): void {
    this.#heard$.next(payload.toString());
  }

  /**
   * Cold: completes when a canary has come back. Errors with `PublishError` when it was not accepted, and with `StrayError` when it
   * was and did not arrive in time.
   *
   * @param received changes with whatever else comes through the subscription: the canary may have to wait behind it
   */
  fly(received: () => unknown): Observable<never> {
    const { publish, timeoutMs: ms, time } = this.#options;
    return defer(() => {
      const flight = String(++this.#flights);
      const arrived$ = this.#heard$.pipe(
        filter((heard) => heard === flight),
        take(1),
        ignoreElements(),
        within<never>({
          ms,
          time,
          progress: received,
          mostWaits: MOST_WAITS,
          late: () => new StrayError(`a canary was accepted and did not arrive within ${ms} ms`),
        }),
      );
      return concat(publish(this.channel, flight), arrived$);
    });
  }
}
