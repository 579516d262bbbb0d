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

/** Messages ahead of a canary may delay it by this many timeouts. A connection that is slower is of no use. */
const MAX_WAITS = 5;

/**
 * Redis accepted a canary and did not deliver it, though the subscription's server has answered a later command: publisher and
 * subscription are connected to different servers, or the subscription is gone.
 */
export class LostCanaryError extends LinkError {}

export interface CanaryOptions {
  /** The present channel, to which only this pod subscribes. */
  readonly channel: () => string;
  /** Errors as `Broker.publish` does. */
  readonly publish: (channel: string, payload: string) => Observable<never>;
  /** Redis delivers what it accepted within this. */
  readonly timeoutMs: number;
  readonly time: Time;
}

/**
 * A message that a pod publishes and receives itself: the only proof that publisher and subscription work and are connected to the
 * same Redis.
 */
export class Canary {
  readonly #options: CanaryOptions;
  readonly #received$ = new BehaviorSubject('');
  #sent = 0;

  constructor(options: CanaryOptions) {
    this.#options = options;
  }

  get channel(): string {
    return this.#options.channel();
  }

  /** Takes a payload that came through the channel. */
  received(payload: Buffer): void {
    this.#received$.next(payload.toString());
  }

  /**
   * Cold: publishes a canary and completes when it has come back. Errors with `PublishError` if Redis did not accept it, with
   * `LostCanaryError` if Redis accepted and did not deliver it, and with `LinkError` if the link is dead or too slow.
   *
   * @param link the subscription's
   */
  send(link: RedisLink): Observable<never> {
    const { publish, timeoutMs: ms, time } = this.#options;
    return defer(() => {
      const payload = String(++this.#sent);
      const arrived$ = this.#received$.pipe(
        filter((received) => received === payload),
        take(1),
        ignoreElements(),
        within<never>({
          ms,
          time,
          progress: () => link.receivedBytes(),
          mostWaits: MAX_WAITS,
          late: () =>
            new LinkError(`a canary did not come through within ${ms} ms, nor ${MAX_WAITS * ms} ms behind other messages`),
        }),
      );
      return concat(publish(this.channel, payload), merge(arrived$.pipe(materialize()), this.#lost$(link)).pipe(dematerialize()));
    });
  }

  /**
   * Errors when the canary that Redis has just accepted must have arrived. A server writes to one connection in order: the reply to a
   * command that is sent now comes after the canary, however much is ahead of both.
   */
  #lost$(link: RedisLink): Observable<never> {
    const { timeoutMs: ms, time } = this.#options;
    return defer(() => from(link.call('ROLE'))).pipe(
      // An error reply is a reply, too; a link that is lost ends its session by itself.
      catchError((error: unknown) => (error instanceof LinkError ? NEVER : of(undefined))),
      switchMap(() => served$(ms, time)),
      map(() => {
        throw new LostCanaryError(`a canary was accepted and did not arrive within ${ms} ms`);
      }),
    );
  }
}
