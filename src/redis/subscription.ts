import { BehaviorSubject, EMPTY, Observable, concat, defer, ignoreElements, tap, type Subscriber } from 'rxjs';
import { RoomRefusedError, type BrokerEvent, type BrokerStatus } from '../broker/broker.js';
import { bufferTurn } from '../operators/bufferTurn.js';
import { longestWaitMs, type Time } from '../operators/within.js';
import type { Logger } from '../runtime/log.js';
import { Announcements } from './liveness/announcements.js';
import { StrayError, type Canary } from './liveness/canary.js';
import type { RoomChannels } from './channels.js';
import { LinkError, type RedisLink, type RefusedError, type RedisMessage } from './link.js';
import { GLOBAL_ROOM } from '../protocol/protocol.js';
import type { Verify } from './master.js';
import { earlierMoment, earliestWallMs, momentBefore, presentMoment, type Clocks, type Moment } from './liveness/moment.js';
import { CANARY_INTERVAL_MS, proofs$ } from './liveness/proof.js';
import { RefusalLog } from './refusal-log.js';
import { subscribe$ } from './subscribe.js';
import { TurnBatch } from './turn-batch.js';
import { Wanted, unconfirmed } from './wanted.js';

const NOT_PROVEN: BrokerStatus = { up: false, reason: 'subscription: not proven yet' };

export interface RedisSubscriptionOptions {
  readonly time: Time & Clocks;
  readonly channels: RoomChannels;
  readonly canary: Canary;
  /** Emits when a canary can be published that could not before. */
  readonly publishable$: Observable<unknown>;
  readonly verify: Verify;
  /** Where pods tell each other what they misplaced; absent where nothing can be. */
  readonly misplacedChannel?: string | undefined;
  /** How long Redis may say nothing while it owes the confirmation of a SUBSCRIBE. */
  readonly timeoutMs: number;
  readonly log: Logger;
  /**
   * A canary was accepted and does not arrive, though this connection is a fresh one: perhaps the publisher speaks to another
   * server. The last that arrived was sent at that moment; undefined where none ever did.
   */
  readonly onStray: (heard: Moment | undefined) => void;
  /** Which channels one SUBSCRIBE may ask for together. */
  readonly together: (channels: readonly string[]) => readonly (readonly string[])[];
  /** When the server was certainly the one to listen to, where it can be replaced without knowing; absent: as long as it is proven. */
  readonly certain?: (() => Moment) | undefined;
  /** Redis refused channels. Returns whether they are somebody else's now; else the life is over. */
  readonly refused: (channels: readonly string[], error: unknown) => boolean;
}

/**
 * A pod's subscription at one server: the rooms it wants, carried over from one connection's life to the next.
 *
 * A new life subscribes to every room before anything that comes through it is passed on; what came earlier is dropped, and the
 * gap that goes first tells so.
 */
export class RedisSubscription {
  /** Up when a canary has come back on the present connection. */
  readonly status$ = new BehaviorSubject<BrokerStatus>({ up: false, reason: 'subscription: not connected yet' });
  readonly #options: RedisSubscriptionOptions;
  readonly #wanted = new Map<string, Wanted>();
  /** Rooms that were heard elsewhere before and are not confirmed here yet. */
  readonly #returning = new Set<string>();
  /** Rooms that were entered in this turn: with a command for each, a pod that fills up would be felt. */
  readonly #soon: TurnBatch<string>;
  /** Rooms that were left in this turn. */
  readonly #leaving: TurnBatch<string>;
  #link: RedisLink | undefined;
  #fail: (error: unknown) => void = () => undefined;
  /** Every room that was wanted when the present life began is confirmed. */
  #isLive = false;
  /** Where what comes goes. */
  #output: Subscriber<BrokerEvent> | undefined;
  #canaryChannel = '';
  /** Redis lets the present life hear the pod's own channel. */
  #mayHear = false;
  /** Everything published before this came through: when the last canary to come back was sent, or when the present life began. */
  #proven: Moment;
  /** When the last canary that came back was sent, whichever life heard it. */
  #heard: Moment | undefined;
  /** Redis took what comes through the present life now after this, by the monotonic clock. */
  #takenMs = 0;
  /** The present life has heard one. */
  #isProven = false;
  readonly #announcements: Announcements;
  readonly #refusals: RefusalLog;

  constructor(options: RedisSubscriptionOptions) {
    this.#options = options;
    this.#proven = presentMoment(options.time);
    this.#announcements = new Announcements(options.time);
    this.#refusals = new RefusalLog(options.log, () => options.time.scheduler.now());
    this.#soon = new TurnBatch(options.time.turnEnd$, (rooms) => {
      this.#askFor(rooms.filter((room) => this.#wanted.get(room)?.confirmed === false));
    });
    this.#leaving = new TurnBatch(options.time.turnEnd$, (rooms) => {
      this.#unsubscribe(rooms);
    });
  }

  /** One life: emits what comes through the link until unsubscribed. Errors with `LinkError` when it has proven to be dead or of no use. */
  live(link: RedisLink): Observable<BrokerEvent> {
    return new Observable((subscriber) => {
      const born = presentMoment(this.#options.time);
      this.#takenMs = born.ms;
      this.#link = link;
      this.#output = subscriber;
      this.#canaryChannel = this.#options.canary.channel;
      this.#mayHear = false;
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
          this.#takenAway(link);
        }),
      );
      const begun$ = defer(() => {
        this.#begin(born);
        return this.#prove(link);
      });
      const { misplacedChannel } = this.#options;
      const ours = misplacedChannel === undefined ? [this.#canaryChannel] : [this.#canaryChannel, misplacedChannel];
      const asked = [...ours, ...this.#channelsOf(this.#wanted.keys())];
      this.#soon.clear();
      subscriber.add(concat(this.#ask(asked), begun$).subscribe({ error: this.#fail }));
    });
  }

  /**
   * See `Broker.subscribe`.
   *
   * @param lostSince of a room that was heard elsewhere before, the last proof that it was: a gap goes before what comes
   */
  subscribe(room: string, lostSince?: Moment): Observable<boolean> {
    return new Observable((subscriber) => {
      const wanted = new Wanted(room, subscriber, lostSince, this);
      this.#wanted.set(room, wanted);
      if (lostSince !== undefined) this.#returning.add(room);
      this.#soon.add(room);
      return wanted;
    });
  }

  /** A room is no longer wanted. */
  left(wanted: Wanted): void {
    const { room } = wanted;
    if (this.#wanted.get(room) !== wanted) return;
    this.#wanted.delete(room);
    if (this.#returning.delete(room) && this.#returning.size === 0 && this.#isLive) this.#openConfirmed();
    if (this.#link) this.#leaving.add(room);
  }

  /** Of a room that is about to be subscribed to elsewhere and was heard here: when it may have missed something, at the earliest. */
  lostSince(room: string): Moment | undefined {
    const wanted = this.#wanted.get(room);
    return wanted?.open === true ? this.#moved() : wanted?.lostSince;
  }

  /** Asks once more for what is not confirmed. */
  askAgain(): void {
    if (this.#isLive) this.#askFor(unconfirmed(this.#wanted.values()));
  }

  #unsubscribe(rooms: readonly string[]): void {
    const channels = this.#channelsOf(rooms.filter((room) => !this.#wanted.has(room)));
    // An UNSUBSCRIBE without a channel leaves all of them.
    if (channels.length === 0) return;
    for (const some of this.#options.together(channels)) this.#link?.unsubscribe(some);
  }

  /** As long as the present life lasts; the next one asks for everything. */
  #askFor(rooms: readonly string[]): void {
    if (rooms.length > 0) this.#output?.add(this.#ask(this.#channelsOf(rooms)).subscribe({ error: this.#fail }));
  }

  /** Completes when Redis has confirmed all the channels, or said that they are not its own. */
  #ask(asked: readonly string[]): Observable<never> {
    const link = this.#link;
    if (link === undefined) return EMPTY;
    // Who leaves a room and comes back while an answer is under way waits for that to the second question.
    return this.#subscribe(link, asked, new Map(asked.map((channel) => [channel, this.#wantedAt(channel)])));
  }

  #subscribe(link: RedisLink, channels: readonly string[], wantedAt: ReadonlyMap<string, Wanted | undefined>): Observable<never> {
    return subscribe$(link, channels, {
      ...this.#options,
      isElsewhere: this.#options.refused,
      confirmed: (channel) => {
        this.#confirm(channel, wantedAt.get(channel));
      },
      forbidden: (channel, error) => this.#forbidden(link, channel, wantedAt.get(channel), error),
    });
  }

  /** Without the pod's own channels there is no subscription; a room's is that room's affair. */
  #forbidden(link: RedisLink, channel: string, wanted: Wanted | undefined, error: RefusedError): Observable<never> {
    if (wanted === undefined || wanted.room === GLOBAL_ROOM) throw new LinkError(`channel ${channel}: ${error.message}`);
    // A user who may hear nothing at all is a mistake that somebody will mend, and no reason to let anybody go.
    const own$ = this.#mayHear ? EMPTY : this.#subscribe(link, [this.#canaryChannel], new Map());
    const refused$ = defer(() => {
      if (this.#wanted.get(wanted.room) !== wanted) return EMPTY;
      this.#refusals.refused(channel, error.message);
      wanted.subscriber.error(new RoomRefusedError(error.message));
      return EMPTY;
    });
    return concat(own$, refused$);
  }

  #wantedAt(channel: string): Wanted | undefined {
    const room = this.#options.channels.roomOf(channel);
    return room === undefined ? undefined : this.#wanted.get(room);
  }

  #confirm(channel: string, wanted: Wanted | undefined): void {
    if (channel === this.#canaryChannel) this.#mayHear = true;
    const room = this.#options.channels.roomOf(channel);
    if (room === undefined || wanted === undefined || wanted.confirmed || this.#wanted.get(room) !== wanted) return;
    wanted.confirmed = true;
    if (!this.#isLive) return;
    if (this.#returning.delete(room)) {
      // All that return are told of in one gap.
      if (this.#returning.size === 0) this.#openConfirmed();
    } else {
      this.#open([[room, wanted]]);
    }
  }

  #begin(born: Moment): void {
    this.#isLive = true;
    this.#isProven = false;
    this.#returning.clear();
    this.#openConfirmed();
    this.#proven = born;
    this.#tellAnnounced();
  }

  #openConfirmed(): void {
    this.#open([...this.#wanted].filter(([, { confirmed, open }]) => confirmed && !open));
  }

  /** What may have been missed is told before anything comes. */
  #open(rooms: readonly (readonly [room: string, wanted: Wanted])[]): void {
    const lost = rooms.flatMap(([room, { lostSince }]) => (lostSince === undefined ? [] : [{ room, lostSince }]));
    const [first] = lost;
    if (first) {
      const { time, timeoutMs } = this.#options;
      const proven = lost.reduce((least, { lostSince }) => earlierMoment(least, lostSince), first.lostSince);
      // What Redis took after the proof may bear a time from before it: a publish is under way for as long as its timeout.
      const sinceMs = earliestWallMs(proven, time) - longestWaitMs(timeoutMs);
      this.#output?.next({ kind: 'gap', rooms: new Set(lost.map(({ room }) => room)), sinceMs });
    }
    for (const [, wanted] of rooms) {
      wanted.open = true;
      wanted.lostSince = undefined;
      wanted.subscriber.next(true);
    }
  }

  /** Rooms that the server took away are asked for again, here, where it says who has them now. */
  #takenAway(link: RedisLink): void {
    const still = link.channels();
    for (const [room, wanted] of this.#wanted) {
      if (!wanted.confirmed || still.has(this.#options.channels.channelOf(room))) continue;
      if (wanted.open) {
        wanted.lostSince = this.#moved();
        wanted.subscriber.next(false);
        this.#returning.add(room);
      }
      wanted.open = wanted.confirmed = false;
    }
    // A server that became a replica takes them again, and hears of what is published at its master some time later.
    const again$ = defer(() => {
      this.askAgain();
      return EMPTY;
    });
    this.#output?.add(concat(this.#options.verify(link).pipe(ignoreElements()), again$).subscribe({ error: this.#fail }));
  }

  /** Of a room whose slot moves: two servers may both have had it for a moment, and the last canary may have flown in it. */
  #moved(): Moment {
    return earlierMoment(this.#certain, momentBefore(presentMoment(this.#options.time), CANARY_INTERVAL_MS));
  }

  /** Nothing that was published before was missed: it came through, and from the right server. */
  get #certain(): Moment {
    const certain = this.#options.certain?.();
    return certain === undefined ? this.#proven : earlierMoment(this.#proven, certain);
  }

  /** Never completes; the status follows. */
  #prove(link: RedisLink): Observable<never> {
    const { canary, publishable$, verify, time, onStray } = this.#options;
    this.#tell(NOT_PROVEN);
    return proofs$({
      canary,
      publishable$,
      prepared$: defer(() => this.#askForCanary()),
      verified$: defer(() => verify(link)),
      link,
      time,
    }).pipe(
      tap({
        next: (proof) => {
          // The server has answered a question on this link that was asked then: what comes from now on, it took later.
          this.#takenMs = proof.sent.ms;
          if ('refusal' in proof) this.#notPublished(proof.refusal);
          else this.#cameBack(proof);
        },
        error: (error: unknown) => {
          if (error instanceof StrayError && !this.#isProven) onStray(this.#heard);
        },
      }),
      ignoreElements(),
    );
  }

  #askForCanary(): Observable<never> {
    const { channel } = this.#options.canary;
    if (channel === this.#canaryChannel) return EMPTY;
    this.#canaryChannel = channel;
    return this.#ask([channel]);
  }

  #cameBack({ sent, isKnown }: { readonly sent: Moment; readonly isKnown: boolean }): void {
    this.#heard = sent;
    this.#isProven = true;
    if (isKnown) this.#proven = sent;
    this.#tell({ up: true });
  }

  #notPublished(refusal: string): void {
    const reason = `canary: ${refusal}`;
    if (this.#tell({ up: false, reason })) this.#options.log.warn({ reason }, 'broker connection not proven');
  }

  /** False where that was told before. */
  #tell(status: BrokerStatus): boolean {
    const { value } = this.status$;
    if (value.up === status.up && (value.up || status.up || value.reason === status.reason)) return false;
    this.status$.next(status);
    return true;
  }

  #receive({ channel, payload }: RedisMessage, subscriber: Subscriber<BrokerEvent>): void {
    const room = this.#options.channels.roomOf(channel);
    if (room === undefined) {
      if (channel === this.#canaryChannel) this.#options.canary.hear(payload);
      else if (channel === this.#options.misplacedChannel) this.#hearMisplaced(payload);
      return;
    }
    // Redis may still speak of a room that was left a moment ago.
    if (this.#wanted.get(room)?.open === true) subscriber.next({ kind: 'publication', room, payload });
  }

  /**
   * Another pod found that it had spoken to a server that was the master no longer. The gap of the present life, told or still to
   * come, need not reach back that far, and only this machine's clocks tell what does: so the announcement always becomes a gap.
   */
  #hearMisplaced(payload: Buffer): void {
    // It was under way to Redis for as long as a publish can be, and Redis took it after the last canary that came back.
    this.#announcements.hear(payload, this.#takenMs - longestWaitMs(this.#options.timeoutMs));
    // At once: the pod that announced it publishes to this server now, and what it says comes behind.
    this.#tellAnnounced();
  }

  /** Now, or as soon as the present life is whole: what comes before that is dropped. */
  #tellAnnounced(): void {
    const sinceMs = this.#isLive ? this.#announcements.tell() : undefined;
    if (sinceMs !== undefined) this.#output?.next({ kind: 'gap', sinceMs });
  }

  #end(): void {
    this.#link = undefined;
    this.#leaving.clear();
    this.#output = undefined;
    this.#isLive = false;
    for (const wanted of this.#wanted.values()) {
      if (wanted.open) {
        wanted.lostSince = this.#certain;
        wanted.subscriber.next(false);
      }
      wanted.open = wanted.confirmed = false;
    }
  }

  #channelsOf(rooms: Iterable<string>): readonly string[] {
    return [...rooms].map((room) => this.#options.channels.channelOf(room));
  }
}
