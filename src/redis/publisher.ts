import {
  BehaviorSubject,
  EMPTY,
  Observable,
  concat,
  defer,
  exhaustMap,
  ignoreElements,
  interval,
  merge,
  map,
  retry,
  startWith,
  takeWhile,
  tap,
  timer,
  type Subscriber,
  type Subscription,
} from 'rxjs';
import { PublishError, type BrokerStatus } from '../broker/broker.js';
import { ServedClock } from '../operators/served-clock.js';
import { longestWaitMs } from '../operators/within.js';
import type { Runtime } from '../runtime/runtime.js';
import { LinkError, RefusedError, type RedisLink } from './link.js';
import { DemotedError, type Verify } from './liveness/master.js';
import { Misplaced, writeAnnouncement, type PastLife, type Untold } from './liveness/in-doubt.js';
import { earlierMoment, earliestWallMs, momentBefore, presentMoment, type Moment } from './liveness/clock-reading.js';

/** So many bytes may be on their way to Redis unconfirmed; what would go beyond is refused rather than queued. */
const MAX_UNCONFIRMED_BYTES = 64 * 1024 * 1024;

/** A server can turn into a replica while connections stay; as often as the subscription's canary flies. */
const VERIFY_INTERVAL_MS = 1500;

interface Waiting {
  /** By the clock of the life. */
  readonly dueMs: number;
  readonly bytes: number;
  readonly subscriber: Subscriber<never>;
}

export interface RedisPublisherOptions {
  readonly time: Omit<Runtime, 'random'>;
  readonly timeoutMs: number;
  readonly verify: Verify;
  /** Where all pods are told of what one of them misplaced; absent where a server that is no master takes no publishes. */
  readonly misplaced?: { readonly channel: string; readonly placeOf: (link: RedisLink) => string } | undefined;
}

/**
 * Publishes through one connection at a time. A publish that Redis does not confirm in time ends the connection's life, for a
 * late answer would be taken for the next publish's; whatever else was under way is unconfirmed with it.
 */
export class RedisPublisher {
  readonly status$ = new BehaviorSubject<BrokerStatus>({ up: false, reason: 'publisher: not connected yet' });
  readonly #options: RedisPublisherOptions;
  readonly #misplaced: Misplaced;
  #life: PublisherLife | undefined;

  constructor(options: RedisPublisherOptions) {
    this.#options = options;
    this.#misplaced = new Misplaced(options.time.newId);
  }

  /** One life: publishes go through the link until unsubscribed. Never emits; errors with `LinkError` when it is dead or of no use. */
  live(link: RedisLink): Observable<never> {
    return new Observable((subscriber) => {
      const life = new PublisherLife(link, this.#options, (error) => {
        subscriber.error(error);
      });
      this.#life = life;
      this.status$.next({ up: true });
      subscriber.add(() => {
        this.#life = undefined;
        life.end();
        this.#misplaced.ended({ ...life.doubtful, place: this.#placeOf(link) });
      });
      subscriber.add(
        merge(this.#verified(life, link), this.#announced(link)).subscribe({
          error: (error: unknown) => {
            life.fail(error);
          },
        }),
      );
    });
  }

  /** A server that this pod has, or had, a connection to is the master no longer: what was published of late may have gone there. */
  suspect(): void {
    this.#life?.suspect();
    this.#misplaced.suspect();
  }

  /** What it publishes does not arrive: its server may be another one than all others speak to, though it is a master. */
  giveUp(arrived: Moment | undefined): void {
    this.#life?.stray(arrived);
  }

  /** @param matters whether all pods are to be told where it may not have reached them */
  publish(channel: string, payload: string, matters = true): Observable<never> {
    return new Observable((subscriber) => {
      if (this.#life) this.#life.publish(channel, payload, subscriber, matters);
      else subscriber.error(new PublishError('unavailable', 'Redis is not connected'));
    });
  }

  #verified(life: PublisherLife, link: RedisLink): Observable<never> {
    const { time, verify } = this.#options;
    const verified$ = defer(() => {
      const asked = presentMoment(time);
      let isKnown = true;
      return concat(
        verify(link).pipe(
          tap(() => (isKnown = false)),
          ignoreElements(),
        ),
        defer(() => {
          if (isKnown) life.proven(asked);
          return EMPTY;
        }),
      );
    });
    return interval(VERIFY_INTERVAL_MS, time.scheduler).pipe(exhaustMap(() => verified$));
  }

  /** Tells all pods what the lives before this one misplaced. */
  #announced(link: RedisLink): Observable<never> {
    this.#misplaced.begun(this.#placeOf(link));
    const { misplaced, time } = this.#options;
    if (misplaced === undefined) return EMPTY;
    return interval(VERIFY_INTERVAL_MS, time.scheduler).pipe(
      startWith(0),
      map(() => this.#misplaced.untold),
      takeWhile((untold) => untold !== undefined),
      exhaustMap((untold) => this.#announce(untold, misplaced.channel)),
    );
  }

  #announce(untold: Untold, channel: string): Observable<never> {
    const { time } = this.#options;
    return defer(() => {
      const ageMs = time.scheduler.now() - untold.since.ms;
      const text = writeAnnouncement({ id: untold.id, ageMs, wallMs: earliestWallMs(untold.since, time) });
      return this.publish(channel, text, false);
    }).pipe(
      tap({
        complete: () => {
          this.#misplaced.told(untold);
        },
      }),
      // It may be refused, as others are; where the connection is lost meanwhile, the next life will have to.
      retry({ delay: () => timer(VERIFY_INTERVAL_MS, time.scheduler) }),
    );
  }

  #placeOf(link: RedisLink): string {
    return this.#options.misplaced?.placeOf(link) ?? '';
  }
}

/** What is under way on one connection. Redis answers in order, so the first that waits is the one that waits longest. */
class PublisherLife {
  readonly #link: RedisLink;
  readonly #options: RedisPublisherOptions;
  readonly #fail: (error: unknown) => void;
  readonly #waiting = new Set<Waiting>();
  readonly #clock: ServedClock;
  #bytes = 0;
  #watch: Subscription | undefined;
  /** What was sent before this went to the master: it carried that out before it said what it is. */
  #proven: Moment;
  /** When something that matters was sent last. */
  #sentMs = -Infinity;
  #demoted = false;

  constructor(link: RedisLink, options: RedisPublisherOptions, fail: (error: unknown) => void) {
    this.#link = link;
    this.#options = options;
    this.#fail = fail;
    this.#clock = new ServedClock(options.timeoutMs, options.time);
    this.#proven = presentMoment(options.time);
  }

  /** Its server was the master when it was asked. */
  proven(asked: Moment): void {
    this.#proven = asked;
    this.#demoted = false;
  }

  /** Until that is proven anew. */
  suspect(): void {
    this.#demoted = true;
  }

  fail(error: unknown): void {
    if (error instanceof DemotedError) this.suspect();
    this.#fail(error);
  }

  /** Its server is not the one that matters, and was it perhaps when something arrived last. */
  stray(arrived: Moment | undefined): void {
    if (arrived) this.#proven = earlierMoment(this.#proven, arrived);
    this.fail(new DemotedError('what is published does not arrive'));
  }

  /** What may have gone to a server that was the master no longer, as far as this life can tell. */
  get doubtful(): Omit<PastLife, 'place'> {
    const { time, timeoutMs } = this.#options;
    const proven = { ...this.#proven, wallMs: earliestWallMs(this.#proven, time) };
    // An envelope is a little older than its publish, and sentinels hear of a new master one after the other.
    const since = momentBefore(proven, longestWaitMs(timeoutMs));
    return { since, published: this.#sentMs >= since.ms, demoted: this.#demoted };
  }

  publish(channel: string, payload: string, subscriber: Subscriber<never>, matters: boolean): void {
    const bytes = Buffer.byteLength(payload);
    if (this.#bytes + bytes > MAX_UNCONFIRMED_BYTES) {
      subscriber.error(new PublishError('unavailable', 'too much is unconfirmed'));
      return;
    }
    const { time, timeoutMs } = this.#options;
    const sentMs = time.scheduler.now();
    const waiting = { dueMs: this.#clock.at(sentMs) + timeoutMs, bytes, subscriber };
    this.#waiting.add(waiting);
    if (matters) this.#sentMs = sentMs;
    this.#bytes += waiting.bytes;
    this.#watch ??= this.#watched();
    this.#link.publish(channel, payload, (error) => {
      if (!this.#settle(waiting)) return;
      if (error === undefined) subscriber.complete();
      else subscriber.error(asPublishError(error));
    });
  }

  end(): void {
    this.#watch?.unsubscribe();
    for (const waiting of this.#waiting) {
      this.#settle(waiting);
      waiting.subscriber.error(new PublishError('unconfirmed', 'the connection to Redis was lost'));
    }
  }

  /** False where it was settled before. */
  #settle(waiting: Waiting): boolean {
    if (!this.#waiting.delete(waiting)) return false;
    this.#bytes -= waiting.bytes;
    return true;
  }

  /** One timer for all: the oldest is due first. */
  #watched(): Subscription {
    const dueMs = () => {
      const [oldest] = this.#waiting;
      return oldest?.dueMs;
    };
    return this.#clock.reached$(dueMs).subscribe((overdueMs) => {
      this.#watch = undefined;
      if (overdueMs !== undefined) this.fail(new LinkError(`a publish was not confirmed within ${this.#options.timeoutMs} ms`));
    });
  }
}

function asPublishError(error: RefusedError | LinkError): PublishError {
  return new PublishError(error instanceof RefusedError ? 'unavailable' : 'unconfirmed', error.message);
}
