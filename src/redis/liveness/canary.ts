import {
  BehaviorSubject,
  NEVER,
  catchError,
  concat,
  defer,
  dematerialize,
  filter,
  from,
  ignoreElements,
  map,
  materialize,
  merge,
  of,
  switchMap,
  take,
  type Observable,
} from 'rxjs';
import { served$, within, type Time } from '../../operators/within.js';
import { LinkError, type RedisLink } from '../link.js';

/** What comes before a canary may hold it up this many times as long: beyond that, what comes is of no use any more. */
const MOST_WAITS = 5;

/**
 * A canary was accepted and did not arrive, though the subscription's server has answered a later question: publisher and
 * subscription do not speak to the same Redis, or the subscription is not one.
 */
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
   * Cold: completes when a canary has come back. Errors with `PublishError` when it was not accepted; with `StrayError` when it was
   * and did not arrive; and with `LinkError` when the link is dead, or too thin for what comes through it before the canary.
   *
   * @param link the subscription's
   */
  fly(link: RedisLink): Observable<never> {
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
          progress: () => link.receivedBytes(),
          mostWaits: MOST_WAITS,
          late: () =>
            new LinkError(`a canary did not come through within ${ms} ms, nor ${MOST_WAITS * ms} ms behind other messages`),
        }),
      );
      return concat(
        publish(this.channel, flight),
        merge(arrived$.pipe(materialize()), this.#strayed(link)).pipe(dematerialize()),
      );
    });
  }

  /**
   * Errors where the canary that was accepted just now should have come. What a server sends to one connection stays in order: the
   * answer to a question that is asked now comes after the canary, however much comes before it.
   */
  #strayed(link: RedisLink): Observable<never> {
    const { timeoutMs: ms, time } = this.#options;
    return defer(() => from(link.ask('ROLE'))).pipe(
      // A refusal is an answer, too; a link that is lost ends its life by itself.
      catchError((error: unknown) => (error instanceof LinkError ? NEVER : of(undefined))),
      switchMap(() => served$(ms, time)),
      map(() => {
        throw new StrayError(`a canary was accepted and did not arrive within ${ms} ms`);
      }),
    );
  }
}
