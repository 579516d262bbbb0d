import {
  BehaviorSubject,
  EMPTY,
  Observable,
  TimeoutError,
  from,
  ignoreElements,
  merge,
  tap,
  timeout,
  type SchedulerLike,
  type Subscriber,
} from 'rxjs';
import type { BrokerEvent, BrokerStatus } from './broker.js';
import type { RoomChannels } from './redis-channels.js';
import { LinkError, type RedisLink, type RedisMessage } from './redis-link.js';

/** So many channels are asked for in one SUBSCRIBE, which Redis carries out in one go while others wait. */
const CHANNELS_PER_COMMAND = 500;

export interface RedisSubscriptionOptions {
  readonly scheduler: SchedulerLike;
  readonly channels: RoomChannels;
  /** How long Redis may take to confirm a SUBSCRIBE. */
  readonly timeoutMs: number;
}

/** A room that somebody wants. */
interface Wanted {
  readonly subscriber: Subscriber<boolean>;
  /** Redis has confirmed it on the present connection. */
  confirmed: boolean;
}

/**
 * The pod's one subscription: the rooms it wants, carried over from one connection's life to the next.
 *
 * A new life subscribes to every room before anything that comes through it is passed on; what came earlier is dropped, and the
 * gap that goes first tells so.
 */
export class RedisSubscription {
  readonly status$ = new BehaviorSubject<BrokerStatus>({ up: false, reason: 'subscription: not connected yet' });
  readonly #options: RedisSubscriptionOptions;
  readonly #wanted = new Map<string, Wanted>();
  #link: RedisLink | undefined;
  #fail: (error: unknown) => void = () => undefined;
  /** Every room that was wanted when the present life began is confirmed. */
  #isLive = false;
  /** The last proof that the present life lives, or the one before that was live; undefined before there was one. */
  #provenMs: number | undefined;

  constructor(options: RedisSubscriptionOptions) {
    this.#options = options;
  }

  /** One life: emits what comes through the link until unsubscribed. Errors with `LinkError` when Redis refuses or does not answer. */
  live(link: RedisLink): Observable<BrokerEvent> {
    return new Observable((subscriber) => {
      this.#link = link;
      this.#fail = (error) => {
        subscriber.error(asLinkError(error));
      };
      subscriber.add(() => {
        this.#end();
      });
      subscriber.add(
        link.message$.subscribe((message) => {
          this.#receive(message, subscriber);
        }),
      );
      subscriber.add(
        this.#ask([...this.#wanted.keys()]).subscribe({
          error: this.#fail,
          complete: () => {
            this.#begin(subscriber);
          },
        }),
      );
    });
  }

  /** See `Broker.subscribe`. */
  subscribe(room: string): Observable<boolean> {
    return new Observable((subscriber) => {
      this.#wanted.set(room, { subscriber, confirmed: false });
      const asking = this.#link && this.#ask([room]).subscribe({ error: this.#fail });
      return () => {
        asking?.unsubscribe();
        this.#wanted.delete(room);
        // A link that can't say goodbye is at its end, which is found elsewhere.
        this.#link?.unsubscribe(this.#options.channels.channelOf(room)).catch(() => undefined);
      };
    });
  }

  /** Completes when Redis has confirmed all the rooms. */
  #ask(rooms: readonly string[]): Observable<never> {
    const { channels, timeoutMs, scheduler } = this.#options;
    const link = this.#link;
    if (link === undefined || rooms.length === 0) return EMPTY;
    const asked = chunks(rooms, CHANNELS_PER_COMMAND).map((some) =>
      from(link.subscribe(some.map((room) => channels.channelOf(room)))).pipe(
        timeout({ first: timeoutMs, scheduler }),
        tap(() => {
          for (const room of some) this.#confirm(room);
        }),
        ignoreElements(),
      ),
    );
    return merge(...asked);
  }

  #confirm(room: string): void {
    const wanted = this.#wanted.get(room);
    if (wanted === undefined) return;
    wanted.confirmed = true;
    if (!this.#isLive) return;
    this.#provenMs = this.#options.scheduler.now();
    wanted.subscriber.next(true);
  }

  #begin(subscriber: Subscriber<BrokerEvent>): void {
    if (this.#provenMs !== undefined) subscriber.next({ kind: 'gap', sinceMs: this.#provenMs });
    this.#isLive = true;
    this.#provenMs = this.#options.scheduler.now();
    for (const wanted of this.#wanted.values()) if (wanted.confirmed) wanted.subscriber.next(true);
    this.status$.next({ up: true });
  }

  #receive({ channel, payload }: RedisMessage, subscriber: Subscriber<BrokerEvent>): void {
    if (!this.#isLive) return;
    this.#provenMs = this.#options.scheduler.now();
    const room = this.#options.channels.roomOf(channel);
    // Redis may still speak of a room that was left a moment ago.
    if (room !== undefined && this.#wanted.has(room)) subscriber.next({ kind: 'publication', room, payload });
  }

  #end(): void {
    this.#link = undefined;
    this.#isLive = false;
    for (const wanted of this.#wanted.values()) {
      if (wanted.confirmed) wanted.subscriber.next(false);
      wanted.confirmed = false;
    }
  }
}

function chunks<T>(values: readonly T[], size: number): readonly T[][] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, at) => values.slice(at * size, (at + 1) * size));
}

function asLinkError(error: unknown): LinkError {
  if (error instanceof LinkError) return error;
  if (error instanceof TimeoutError) return new LinkError('a SUBSCRIBE was not confirmed in time');
  return new LinkError(error instanceof Error ? error.message : String(error));
}
