import { BehaviorSubject, EMPTY, Observable, concat, defer, ignoreElements, tap, type Subscriber } from 'rxjs';
import { RoomRefusedError, type BrokerEvent, type BrokerStatus } from '../broker/broker.js';
import { bufferTurn } from '../operators/bufferTurn.js';
import { longestWaitMs, type Time } from '../operators/within.js';
import { GLOBAL_ROOM } from '../protocol/protocol.js';
import type { Logger } from '../runtime/log.js';
import type { RoomChannels } from './channels.js';
import { LinkError, type RedisLink, type RefusedError, type RedisMessage } from './link.js';
import { Announcements } from './liveness/announcements.js';
import { LostCanaryError, type Canary } from './liveness/canary.js';
import {
  earlierReading,
  earliestWallMs,
  readClocks,
  readingBefore,
  type ClockReading,
  type Clocks,
} from './liveness/clock-reading.js';
import { CANARY_INTERVAL_MS, healthChecks$, type HealthCheck } from './liveness/health-check.js';
import type { Verify } from './liveness/master.js';
import { RefusalLog } from './refusal-log.js';
import { RoomSubscription, lossOf } from './room-subscription.js';
import { subscribe$, type SubscribeOptions } from './subscribe.js';
import { TurnBatch } from './turn-batch.js';

const NOT_CHECKED: BrokerStatus = { up: false, reason: 'subscription: not checked yet' };

export interface RedisSubscriptionOptions extends Pick<SubscribeOptions, 'timeoutMs' | 'batches' | 'isElsewhere'> {
  readonly time: Time & Clocks;
  readonly channels: RoomChannels;
  readonly canary: Canary;
  /** Emits when the publisher can publish again. */
  readonly publishable$: Observable<unknown>;
  readonly verify: Verify;
  /** The channel on which pods announce publishes in doubt; absent if there cannot be any. */
  readonly announcementChannel?: string | undefined;
  readonly log: Logger;
  /**
   * Called when the first canary of a new connection was accepted and lost: the publisher may be connected to another server.
   *
   * @param lastArrived when the last canary that came back was sent; undefined if none ever did
   */
  readonly onLostCanary: (lastArrived: ClockReading | undefined) => void;
  /** When the server last owned its slots for certain; absent if its health checks suffice. */
  readonly ownerConfirmedAt?: (() => ClockReading) | undefined;
}

/**
 * A pod's subscription to rooms at one server. The rooms are kept from one connection to the next.
 *
 * A session, which is one connection, passes messages on only after Redis has confirmed every room; it drops what comes before that,
 * and emits a gap for it first.
 */
export class RedisSubscription {
  /** Up when a canary has come back on the present connection. */
  readonly status$ = new BehaviorSubject<BrokerStatus>({ up: false, reason: 'subscription: not connected yet' });
  readonly #options: RedisSubscriptionOptions;
  readonly #rooms = new Map<string, RoomSubscription>();
  /** Rooms that have moved here from another server and are not confirmed yet. They get one gap together. */
  readonly #movedHere = new Set<string>();
  /** Rooms joined in this turn, for one command: a command for each would slow down a pod that fills up. */
  readonly #joined: TurnBatch<string>;
  /** Rooms left in this turn. */
  readonly #left: TurnBatch<string>;
  readonly #announcements: Announcements;
  readonly #refusals: RefusalLog;
  /** The link of the present session. */
  #link: RedisLink | undefined;
  #output: Subscriber<BrokerEvent> | undefined;
  #fail: (error: unknown) => void = () => undefined;
  /** Redis has confirmed every room that the session began with. */
  #isReady = false;
  #canaryChannel = '';
  /** Redis has confirmed the canary channel in the present session. */
  #hasAccess = false;
  /** A canary has come back in the present session. */
  #isHealthy = false;
  /** Everything published before this was received: when the last canary that came back was sent, or when the session began. */
  #receivedUntil: ClockReading;
  /** When the last canary that came back was sent, in any session. */
  #lastCanary: ClockReading | undefined;
  /** Redis accepted what comes now after this, by the monotonic clock. */
  #acceptedAfterMs = 0;

  constructor(options: RedisSubscriptionOptions) {
    const { time, log } = options;
    this.#options = options;
    this.#receivedUntil = readClocks(time);
    this.#announcements = new Announcements(time);
    this.#refusals = new RefusalLog(log, () => time.scheduler.now());
    this.#joined = new TurnBatch(time.turnEnd$, (rooms) => {
      this.#subscribeTo(rooms.filter((room) => this.#rooms.get(room)?.isConfirmed === false));
    });
    this.#left = new TurnBatch(time.turnEnd$, (rooms) => {
      this.#unsubscribeFrom(rooms);
    });
  }

  /** Emits what comes through the link until unsubscribed. Errors with `LinkError` when the link is dead or of no use. */
  session$(link: RedisLink): Observable<BrokerEvent> {
    return new Observable((subscriber) => {
      const startedAt = readClocks(this.#options.time);
      this.#acceptedAfterMs = startedAt.ms;
      this.#link = link;
      this.#output = subscriber;
      this.#canaryChannel = this.#options.canary.channel;
      this.#hasAccess = false;
      this.#fail = (error) => {
        subscriber.error(LinkError.of(error));
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
        link.moved$.pipe(bufferTurn(this.#options.time.turnEnd$)).subscribe(() => {
          this.#slotsMovedAway(link);
        }),
      );
      const ready$ = defer(() => {
        this.#start(startedAt);
        return this.#checkHealth$(link);
      });
      const { announcementChannel } = this.#options;
      const own = announcementChannel === undefined ? [this.#canaryChannel] : [this.#canaryChannel, announcementChannel];
      const channels = [...own, ...this.#channelsOf(this.#rooms.keys())];
      this.#joined.clear();
      subscriber.add(concat(this.#subscribe$(channels), ready$).subscribe({ error: this.#fail }));
    });
  }

  /**
   * See `Broker.subscribe`.
   *
   * @param lostSince for a room that was subscribed to at another server: until when its messages were received there
   */
  subscribe(room: string, lostSince?: ClockReading): Observable<boolean> {
    return new Observable((subscriber) => {
      const subscription = new RoomSubscription(room, subscriber, lostSince, this);
      this.#rooms.set(room, subscription);
      if (lostSince !== undefined) this.#movedHere.add(room);
      this.#joined.add(room);
      return subscription;
    });
  }

  /** Called by a `RoomSubscription` that ends. */
  unsubscribed(subscription: RoomSubscription): void {
    const { room } = subscription;
    if (this.#rooms.get(room) !== subscription) return;
    this.#rooms.delete(room);
    if (this.#movedHere.delete(room) && this.#movedHere.size === 0 && this.#isReady) this.#openConfirmed();
    if (this.#link) this.#left.add(room);
  }

  /** Until when a room's messages were received here, for the server that the room moves to; undefined if it was never open. */
  lostSince(room: string): ClockReading | undefined {
    const subscription = this.#rooms.get(room);
    return subscription?.isOpen === true ? this.#lossOfMove() : subscription?.lostSince;
  }

  /** Sends a SUBSCRIBE for the rooms that are not confirmed. */
  resubscribe(): void {
    if (!this.#isReady) return;
    const rooms: string[] = [];
    for (const { room, isConfirmed } of this.#rooms.values()) if (!isConfirmed) rooms.push(room);
    this.#subscribeTo(rooms);
  }

  #unsubscribeFrom(rooms: readonly string[]): void {
    const channels = this.#channelsOf(rooms.filter((room) => !this.#rooms.has(room)));
    // An UNSUBSCRIBE without channels would unsubscribe from all of them.
    if (channels.length === 0) return;
    for (const batch of this.#options.batches(channels)) this.#link?.unsubscribe(batch);
  }

  /** Ends with the present session; the next one subscribes to everything. */
  #subscribeTo(rooms: readonly string[]): void {
    if (rooms.length > 0) this.#output?.add(this.#subscribe$(this.#channelsOf(rooms)).subscribe({ error: this.#fail }));
  }

  /** Completes when each channel is confirmed or elsewhere. */
  #subscribe$(channels: readonly string[]): Observable<never> {
    if (this.#link === undefined) return EMPTY;
    // A room that is left and joined again while a SUBSCRIBE is pending is confirmed by its second SUBSCRIBE.
    const subscriptions = new Map(channels.map((channel) => [channel, this.#subscriptionOf(channel)]));
    return subscribe$(this.#link, channels, {
      ...this.#options,
      confirmed: (channel) => {
        this.#confirm(channel, subscriptions.get(channel));
      },
      forbidden: (channel, error) => this.#forbidden$(channel, subscriptions.get(channel), error),
    });
  }

  /** Without access to the pod's own channels the session is over; without access to a room's, that room alone is refused. */
  #forbidden$(channel: string, subscription: RoomSubscription | undefined, error: RefusedError): Observable<never> {
    if (subscription === undefined || subscription.room === GLOBAL_ROOM) {
      throw new LinkError(`channel ${channel}: ${error.message}`);
    }
    // If the user has no access to any channel, that is a misconfiguration to wait out: the session ends, and no room is refused.
    const own$ = this.#hasAccess ? EMPTY : this.#subscribe$([this.#canaryChannel]);
    const refused$ = defer(() => {
      if (this.#rooms.get(subscription.room) !== subscription) return EMPTY;
      this.#refusals.refused(channel, error.message);
      subscription.subscriber.error(new RoomRefusedError(error.message));
      return EMPTY;
    });
    return concat(own$, refused$);
  }

  #subscriptionOf(channel: string): RoomSubscription | undefined {
    const room = this.#options.channels.roomOf(channel);
    return room === undefined ? undefined : this.#rooms.get(room);
  }

  #confirm(channel: string, subscription: RoomSubscription | undefined): void {
    if (channel === this.#canaryChannel) this.#hasAccess = true;
    if (subscription === undefined || subscription.isConfirmed) return;
    const { room } = subscription;
    if (this.#rooms.get(room) !== subscription) return;
    subscription.isConfirmed = true;
    if (!this.#isReady) return;
    if (!this.#movedHere.delete(room)) this.#open([subscription]);
    else if (this.#movedHere.size === 0) this.#openConfirmed();
  }

  #start(startedAt: ClockReading): void {
    this.#isReady = true;
    this.#isHealthy = false;
    this.#movedHere.clear();
    this.#openConfirmed();
    this.#receivedUntil = startedAt;
    this.#emitAnnounced();
  }

  #openConfirmed(): void {
    this.#open([...this.#rooms.values()].filter(({ isConfirmed, isOpen }) => isConfirmed && !isOpen));
  }

  /** Passes the rooms' messages on from now, after one gap for those that may have missed some. */
  #open(subscriptions: readonly RoomSubscription[]): void {
    const loss = lossOf(subscriptions);
    if (loss) {
      const { time, timeoutMs } = this.#options;
      // A message that Redis accepted after that may have an earlier timestamp: a publish takes up to its timeout.
      const sinceMs = earliestWallMs(loss.since, time) - longestWaitMs(timeoutMs);
      this.#output?.next({ kind: 'gap', rooms: loss.rooms, sinceMs });
    }
    for (const subscription of subscriptions) {
      subscription.isOpen = true;
      subscription.lostSince = undefined;
      subscription.subscriber.next(true);
    }
  }

  /** The server has unsubscribed channels whose slots moved. They are requested again here, since the reply says where they are. */
  #slotsMovedAway(link: RedisLink): void {
    const remaining = link.channels();
    for (const [room, subscription] of this.#rooms) {
      if (!subscription.isConfirmed || remaining.has(this.#options.channels.channelOf(room))) continue;
      if (subscription.isOpen) {
        subscription.lostSince = this.#lossOfMove();
        subscription.subscriber.next(false);
        this.#movedHere.add(room);
      }
      subscription.isOpen = subscription.isConfirmed = false;
    }
    // Verified first, since a server that has become a replica would accept the channels, and receives messages from its master late.
    const again$ = defer(() => {
      this.resubscribe();
      return EMPTY;
    });
    this.#output?.add(concat(this.#options.verify(link).pipe(ignoreElements()), again$).subscribe({ error: this.#fail }));
  }

  /** For a room whose slot moves: two servers may both have owned it for a while, in which the last canary may have been sent. */
  #lossOfMove(): ClockReading {
    return earlierReading(this.#completeUntil, readingBefore(readClocks(this.#options.time), CANARY_INTERVAL_MS));
  }

  /** Everything published before this was received, from a server that owned the slots. */
  get #completeUntil(): ClockReading {
    const owned = this.#options.ownerConfirmedAt?.();
    return owned === undefined ? this.#receivedUntil : earlierReading(this.#receivedUntil, owned);
  }

  /** Never completes; sets the status. */
  #checkHealth$(link: RedisLink): Observable<never> {
    const { canary, publishable$, verify, time, onLostCanary } = this.#options;
    this.#setStatus(NOT_CHECKED);
    return healthChecks$({
      canary,
      publishable$,
      prepared$: defer(() => this.#subscribeToCanary$()),
      verified$: defer(() => verify(link)),
      link,
      time,
    }).pipe(
      tap({
        next: (check) => {
          this.#checked(check);
        },
        error: (error: unknown) => {
          if (error instanceof LostCanaryError && !this.#isHealthy) onLostCanary(this.#lastCanary);
        },
      }),
      ignoreElements(),
    );
  }

  #subscribeToCanary$(): Observable<never> {
    const { channel } = this.#options.canary;
    if (channel === this.#canaryChannel) return EMPTY;
    this.#canaryChannel = channel;
    return this.#subscribe$([channel]);
  }

  #checked(check: HealthCheck): void {
    // The server has replied on this link to a command sent then: it accepted later what comes from now on.
    this.#acceptedAfterMs = check.sent.ms;
    if ('refusal' in check) {
      const reason = `canary: ${check.refusal}`;
      if (this.#setStatus({ up: false, reason })) this.#options.log.warn({ reason }, 'Redis health check failed');
      return;
    }
    this.#lastCanary = check.sent;
    this.#isHealthy = true;
    if (check.isMaster) this.#receivedUntil = check.sent;
    this.#setStatus({ up: true });
  }

  /** False if it is the present status. */
  #setStatus(status: BrokerStatus): boolean {
    const { value } = this.status$;
    if (value.up === status.up && (value.up || status.up || value.reason === status.reason)) return false;
    this.status$.next(status);
    return true;
  }

  #receive({ channel, payload }: RedisMessage, subscriber: Subscriber<BrokerEvent>): void {
    const room = this.#options.channels.roomOf(channel);
    if (room === undefined) {
      if (channel === this.#canaryChannel) this.#options.canary.received(payload);
      else if (channel === this.#options.announcementChannel) this.#receiveAnnouncement(payload);
      return;
    }
    // Messages of a room that was just left may still come.
    if (this.#rooms.get(room)?.isOpen === true) subscriber.next({ kind: 'publication', room, payload });
  }

  /**
   * An announcement always becomes a gap of its own: that of the present session need not reach back as far, and this machine's clocks
   * alone cannot tell.
   */
  #receiveAnnouncement(payload: Buffer): void {
    // It was published at most a timeout before Redis accepted it, and Redis accepted it after the last canary.
    this.#announcements.receive(payload, this.#acceptedAfterMs - longestWaitMs(this.#options.timeoutMs));
    // At once: the pod that sent it publishes to this server now, and those messages come next.
    this.#emitAnnounced();
  }

  /** Emits a gap for the announcements, now or as soon as the session is ready. */
  #emitAnnounced(): void {
    const sinceMs = this.#isReady ? this.#announcements.take() : undefined;
    if (sinceMs !== undefined) this.#output?.next({ kind: 'gap', sinceMs });
  }

  #end(): void {
    this.#link = undefined;
    this.#left.clear();
    this.#output = undefined;
    this.#isReady = false;
    for (const subscription of this.#rooms.values()) {
      if (subscription.isOpen) {
        subscription.lostSince = this.#completeUntil;
        subscription.subscriber.next(false);
      }
      subscription.isOpen = subscription.isConfirmed = false;
    }
  }

  #channelsOf(rooms: Iterable<string>): readonly string[] {
    return [...rooms].map((room) => this.#options.channels.channelOf(room));
  }
}
