import {
  BehaviorSubject,
  EMPTY,
  Observable,
  catchError,
  concat,
  defer,
  exhaustMap,
  ignoreElements,
  interval,
  merge,
  tap,
  type Subscriber,
  type Subscription,
} from 'rxjs';
import { PublishError, type BrokerStatus } from '../broker/broker.js';
import { served$, type Time } from '../operators/within.js';
import { LinkError, RefusedError, type RedisLink } from './link.js';
import { DemotedError, type Verify } from './master.js';
import { Misplaced, writeSpan, type PastLife } from './misplaced.js';

/** So many bytes may be on their way to Redis unconfirmed; what would go beyond is refused rather than queued. */
const MAX_UNCONFIRMED_BYTES = 64 * 1024 * 1024;

/** A server can turn into a replica while connections stay; as often as the subscription's canary flies. */
const VERIFY_INTERVAL_MS = 1500;

interface Waiting {
  readonly sentMs: number;
  readonly bytes: number;
  readonly subscriber: Subscriber<never>;
}

export interface RedisPublisherOptions {
  readonly time: Time;
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
  readonly #misplaced = new Misplaced();
  #life: PublisherLife | undefined;

  constructor(options: RedisPublisherOptions) {
    this.#options = options;
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

  /** What it publishes does not arrive: its server may be another one than all others speak to, though it is a master. */
  giveUp(arrivedMs: number | undefined): void {
    this.#life?.stray(arrivedMs);
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
      const askedMs = time.scheduler.now();
      let isKnown = true;
      return concat(
        verify(link).pipe(
          tap(() => (isKnown = false)),
          ignoreElements(),
        ),
        defer(() => {
          if (isKnown) life.proven(askedMs);
          return EMPTY;
        }),
      );
    });
    return interval(VERIFY_INTERVAL_MS, time.scheduler).pipe(exhaustMap(() => verified$));
  }

  /** Tells all pods what a life before this one misplaced. */
  #announced(link: RedisLink): Observable<never> {
    const span = this.#misplaced.begun(this.#placeOf(link));
    const { misplaced } = this.#options;
    if (span === undefined || misplaced === undefined) return EMPTY;
    return this.publish(misplaced.channel, writeSpan(span), false).pipe(
      tap({
        complete: () => {
          this.#misplaced.told();
        },
      }),
      // The next life will have to.
      catchError(() => EMPTY),
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
  #bytes = 0;
  #watch: Subscription | undefined;
  /** What was sent before this went to the master: it carried that out before it said what it is. */
  #provenMs: number;
  /** When something that matters was sent last. */
  #sentMs = -Infinity;
  #demoted = false;

  constructor(link: RedisLink, options: RedisPublisherOptions, fail: (error: unknown) => void) {
    this.#link = link;
    this.#options = options;
    this.#fail = fail;
    this.#provenMs = options.time.scheduler.now();
  }

  /** Its server was the master when it was asked. */
  proven(askedMs: number): void {
    this.#provenMs = askedMs;
  }

  fail(error: unknown): void {
    this.#demoted ||= error instanceof DemotedError;
    this.#fail(error);
  }

  /** Its server is not the one that matters, and was it perhaps when something arrived last. */
  stray(arrivedMs: number | undefined): void {
    this.#provenMs = Math.min(this.#provenMs, arrivedMs ?? this.#provenMs);
    this.fail(new DemotedError('what is published does not arrive'));
  }

  /** What may have gone to a server that was the master no longer, as far as this life can tell. */
  get doubtful(): Omit<PastLife, 'place'> {
    const { time, timeoutMs } = this.#options;
    // An envelope is a little older than its publish, and sentinels hear of a new master one after the other.
    const sinceMs = this.#provenMs - timeoutMs;
    return { sinceMs, untilMs: time.scheduler.now(), published: this.#sentMs >= sinceMs, demoted: this.#demoted };
  }

  publish(channel: string, payload: string, subscriber: Subscriber<never>, matters: boolean): void {
    const bytes = Buffer.byteLength(payload);
    if (this.#bytes + bytes > MAX_UNCONFIRMED_BYTES) {
      subscriber.error(new PublishError('unavailable', 'too much is unconfirmed'));
      return;
    }
    const waiting = { sentMs: this.#options.time.scheduler.now(), bytes, subscriber };
    this.#waiting.add(waiting);
    if (matters) this.#sentMs = waiting.sentMs;
    this.#bytes += waiting.bytes;
    this.#watch ??= this.#watchFor(waiting, this.#options.timeoutMs);
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

  #watchFor(watched: Waiting, ms: number): Subscription {
    const { time, timeoutMs } = this.#options;
    return served$(ms, time).subscribe(() => {
      const [oldest] = this.#waiting;
      this.#watch = undefined;
      if (oldest === watched) this.fail(new LinkError(`a publish was not confirmed within ${timeoutMs} ms`));
      else if (oldest) {
        const leftMs = oldest.sentMs + timeoutMs - time.scheduler.now();
        // After a stall its time may be up by the clock, while the answer has not had a chance to be read.
        this.#watch = this.#watchFor(oldest, leftMs > 0 ? leftMs : timeoutMs / 4);
      }
    });
  }
}

function asPublishError(error: RefusedError | LinkError): PublishError {
  return new PublishError(error instanceof RefusedError ? 'unavailable' : 'unconfirmed', error.message);
}
