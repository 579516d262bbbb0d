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
import { writeAnnouncement } from './liveness/announcements.js';
import { earlierReading, earliestWallMs, readClocks, readingBefore, type ClockReading } from './liveness/clock-reading.js';
import { PublishesInDoubt, type EndedSession, type UnannouncedSpan } from './liveness/in-doubt.js';
import { DemotedError, type Verify } from './liveness/master.js';

/** Publishes that are unconfirmed may have this many bytes in all; a publish beyond that is refused rather than queued. */
const MAX_UNCONFIRMED_BYTES = 64 * 1024 * 1024;

/** A server can become a replica while its connections stay. Equal to the interval of the subscription's checks. */
const VERIFY_INTERVAL_MS = 1500;

interface PendingPublish {
  /** The deadline by the session's clock. */
  readonly dueMs: number;
  readonly bytes: number;
  readonly subscriber: Subscriber<never>;
}

export interface RedisPublisherOptions {
  readonly time: Omit<Runtime, 'random'>;
  readonly timeoutMs: number;
  readonly verify: Verify;
  /** How publishes in doubt are announced to all pods; absent if a server that is not a master accepts no publishes. */
  readonly announce?: { readonly channel: string; readonly serverOf: (link: RedisLink) => string } | undefined;
}

/**
 * Publishes through one connection at a time. A publish that Redis does not confirm in time ends the session, since a late reply
 * would be taken for that of the next publish; all other pending publishes are unconfirmed with it.
 */
export class RedisPublisher {
  readonly status$ = new BehaviorSubject<BrokerStatus>({ up: false, reason: 'publisher: not connected yet' });
  readonly #options: RedisPublisherOptions;
  readonly #inDoubt: PublishesInDoubt;
  #session: PublisherSession | undefined;

  constructor(options: RedisPublisherOptions) {
    this.#options = options;
    this.#inDoubt = new PublishesInDoubt(options.time.newId);
  }

  /** Publishes through the link until unsubscribed. Never emits; errors with `LinkError` when the link is dead or of no use. */
  session$(link: RedisLink): Observable<never> {
    return new Observable((subscriber) => {
      const session = new PublisherSession(link, this.#options, (error) => {
        subscriber.error(error);
      });
      this.#session = session;
      this.status$.next({ up: true });
      subscriber.add(() => {
        this.#session = undefined;
        session.end();
        this.#inDoubt.sessionEnded({ ...session.inDoubt, server: this.#serverOf(link) });
      });
      subscriber.add(
        merge(this.#verify$(session, link), this.#announcements$(link)).subscribe({
          error: (error: unknown) => {
            session.fail(error);
          },
        }),
      );
    });
  }

  /** A server that this pod is or was connected to is no longer the master: the latest publishes may have gone there. */
  masterDemoted(): void {
    this.#session?.masterDemoted();
    this.#inDoubt.masterDemoted();
  }

  /** Ends the session: its canaries are accepted and lost, so its server may be another one than that of the other pods. */
  canaryLost(lastArrived: ClockReading | undefined): void {
    this.#session?.canaryLost(lastArrived);
  }

  /** @param isMessage whether it is announced when it is in doubt; canaries and announcements are not */
  publish(channel: string, payload: string, isMessage = true): Observable<never> {
    return new Observable((subscriber) => {
      if (this.#session) this.#session.publish(channel, payload, subscriber, isMessage);
      else subscriber.error(new PublishError('unavailable', 'Redis is not connected'));
    });
  }

  #verify$(session: PublisherSession, link: RedisLink): Observable<never> {
    const { time, verify } = this.#options;
    const verified$ = defer(() => {
      const asked = readClocks(time);
      let isKnown = true;
      return concat(
        verify(link).pipe(
          tap(() => (isKnown = false)),
          ignoreElements(),
        ),
        defer(() => {
          if (isKnown) session.masterConfirmed(asked);
          return EMPTY;
        }),
      );
    });
    return interval(VERIFY_INTERVAL_MS, time.scheduler).pipe(exhaustMap(() => verified$));
  }

  /** Announces the publishes in doubt of the sessions before this one. */
  #announcements$(link: RedisLink): Observable<never> {
    this.#inDoubt.sessionStarted(this.#serverOf(link));
    const { announce, time } = this.#options;
    if (announce === undefined) return EMPTY;
    return interval(VERIFY_INTERVAL_MS, time.scheduler).pipe(
      startWith(0),
      map(() => this.#inDoubt.unannounced),
      takeWhile((span) => span !== undefined),
      exhaustMap((span) => this.#announce(span, announce.channel)),
    );
  }

  #announce(span: UnannouncedSpan, channel: string): Observable<never> {
    const { time } = this.#options;
    return defer(() => {
      const ageMs = time.scheduler.now() - span.since.ms;
      const payload = writeAnnouncement({ id: span.id, ageMs, wallMs: earliestWallMs(span.since, time) });
      return this.publish(channel, payload, false);
    }).pipe(
      tap({
        complete: () => {
          this.#inDoubt.announced(span);
        },
      }),
      // Redis may refuse it like any publish. If the connection is lost meanwhile, the next session announces it.
      retry({ delay: () => timer(VERIFY_INTERVAL_MS, time.scheduler) }),
    );
  }

  #serverOf(link: RedisLink): string {
    return this.#options.announce?.serverOf(link) ?? '';
  }
}

/** The pending publishes of one connection. Redis replies in order, so the first of them is the oldest. */
class PublisherSession {
  readonly #link: RedisLink;
  readonly #options: RedisPublisherOptions;
  readonly #fail: (error: unknown) => void;
  readonly #pending = new Set<PendingPublish>();
  readonly #clock: ServedClock;
  #bytes = 0;
  #deadline: Subscription | undefined;
  /** The server was the master then: Redis carried out what was sent before ROLE before it replied to ROLE. */
  #master: ClockReading;
  /** When a message was sent last. */
  #sentMs = -Infinity;
  #demoted = false;

  constructor(link: RedisLink, options: RedisPublisherOptions, fail: (error: unknown) => void) {
    this.#link = link;
    this.#options = options;
    this.#fail = fail;
    this.#clock = new ServedClock(options.timeoutMs, options.time);
    this.#master = readClocks(options.time);
  }

  /** The server was the master at the time when it was asked. */
  masterConfirmed(asked: ClockReading): void {
    this.#master = asked;
    this.#demoted = false;
  }

  /** Holds until the server is confirmed as the master again. */
  masterDemoted(): void {
    this.#demoted = true;
  }

  fail(error: unknown): void {
    if (error instanceof DemotedError) this.masterDemoted();
    this.#fail(error);
  }

  /** The server was certainly the right one only when a canary arrived last. */
  canaryLost(lastArrived: ClockReading | undefined): void {
    if (lastArrived) this.#master = earlierReading(this.#master, lastArrived);
    this.fail(new DemotedError('what is published does not arrive'));
  }

  /** The publishes that may have gone to a demoted master, as far as this session can tell. */
  get inDoubt(): Omit<EndedSession, 'server'> {
    const { time, timeoutMs } = this.#options;
    const master = { ...this.#master, wallMs: earliestWallMs(this.#master, time) };
    // An envelope's timestamp is a little older than its publish, and sentinels learn of a new master one after the other.
    const since = readingBefore(master, longestWaitMs(timeoutMs));
    return { since, published: this.#sentMs >= since.ms, demoted: this.#demoted };
  }

  publish(channel: string, payload: string, subscriber: Subscriber<never>, isMessage: boolean): void {
    const bytes = Buffer.byteLength(payload);
    if (this.#bytes + bytes > MAX_UNCONFIRMED_BYTES) {
      subscriber.error(new PublishError('unavailable', 'too much is unconfirmed'));
      return;
    }
    const { time, timeoutMs } = this.#options;
    const sentMs = time.scheduler.now();
    const pending = { dueMs: this.#clock.at(sentMs) + timeoutMs, bytes, subscriber };
    this.#pending.add(pending);
    if (isMessage) this.#sentMs = sentMs;
    this.#bytes += bytes;
    this.#deadline ??= this.#failWhenOverdue();
    this.#link.publish(channel, payload, (error) => {
      if (!this.#settle(pending)) return;
      if (error === undefined) subscriber.complete();
      else subscriber.error(asPublishError(error));
    });
  }

  end(): void {
    this.#deadline?.unsubscribe();
    for (const pending of this.#pending) {
      this.#settle(pending);
      pending.subscriber.error(new PublishError('unconfirmed', 'the connection to Redis was lost'));
    }
  }

  /** False if it was settled before. */
  #settle(pending: PendingPublish): boolean {
    if (!this.#pending.delete(pending)) return false;
    this.#bytes -= pending.bytes;
    return true;
  }

  /** One timer for all, since the oldest is due first. */
  #failWhenOverdue(): Subscription {
    const dueMs = () => {
      const [oldest] = this.#pending;
      return oldest?.dueMs;
    };
    return this.#clock.reached$(dueMs).subscribe((overdueMs) => {
      this.#deadline = undefined;
      if (overdueMs !== undefined) this.fail(new LinkError(`a publish was not confirmed within ${this.#options.timeoutMs} ms`));
    });
  }
}

function asPublishError(error: RefusedError | LinkError): PublishError {
  return new PublishError(error instanceof RefusedError ? 'unavailable' : 'unconfirmed', error.message);
}
