import {
  BehaviorSubject,
  EMPTY,
  Observable,
  catchError,
  concat,
  defer,
  ignoreElements,
  mergeAll,
  from,
  tap,
  type Subscriber,
} from 'rxjs';
import type { BrokerEvent, BrokerStatus } from '../broker/broker.js';
import { gatherTurn } from '../operators/gatherTurn.js';
import type { Time } from '../operators/within.js';
import type { Logger } from '../log.js';
import { StrayError, type Canary } from './canary.js';
import type { RoomChannels } from './channels.js';
import { LinkError, type RedisLink, type RedisMessage } from './link.js';
import { answered, type Verify } from './master.js';
import { readSpan } from './misplaced.js';
import { CANARY_INTERVAL_MS, proofs$ } from './proof.js';

/** So many channels are asked for in one SUBSCRIBE, which Redis carries out in one go while others wait. */
export const CHANNELS_PER_COMMAND = 500;

const NOT_PROVEN: BrokerStatus = { up: false, reason: 'subscription: not proven yet' };

export interface RedisSubscriptionOptions {
  readonly time: Time;
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
   * server. The last that arrived was sent at that time; undefined where none ever did.
   */
  readonly onStray: (heardMs: number | undefined) => void;
  /** Which channels one SUBSCRIBE may ask for together. */
  readonly together: (channels: readonly string[]) => readonly (readonly string[])[];
  /** When the server was certainly the one to listen to, where it can be replaced without knowing; absent: as long as it is proven. */
  readonly certainMs?: (() => number) | undefined;
  /** Redis refused channels. Returns whether they are somebody else's now; else the life is over. */
  readonly refused: (channels: readonly string[], error: unknown) => boolean;
}

/** A room that somebody wants. */
interface Wanted {
  readonly subscriber: Subscriber<boolean>;
  /** Redis has confirmed it on the present connection. */
  confirmed: boolean;
  /** What comes for it is passed on. */
  open: boolean;
  /** Of a room that was open once and is not now: the last proof that it was heard. What it may have missed is yet to be told. */
  lostMs: number | undefined;
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
  /** Rooms that were entered in this turn. */
  #soon: string[] = [];
  #link: RedisLink | undefined;
  #fail: (error: unknown) => void = () => undefined;
  /** Every room that was wanted when the present life began is confirmed. */
  #isLive = false;
  /** Where what comes goes. */
  #output: Subscriber<BrokerEvent> | undefined;
  #canaryChannel = '';
  /** Everything published before this came through: when the last canary to come back was sent, or when the present life began. */
  #provenMs = 0;
  /** When the last canary that came back was sent, whichever life heard it. */
  #heardMs: number | undefined;
  /** The present life has heard one. */
  #isProven = false;
  /** When the present life was whole, and what its predecessor missed was told. */
  #wholeMs = 0;
  /** Messages that came, to be compared. */
  #received = 0;

  constructor(options: RedisSubscriptionOptions) {
    this.#options = options;
  }

  /** One life: emits what comes through the link until unsubscribed. Errors with `LinkError` when it has proven to be dead or of no use. */
  live(link: RedisLink): Observable<BrokerEvent> {
    return new Observable((subscriber) => {
      const bornMs = this.#options.time.scheduler.now();
      this.#link = link;
      this.#output = subscriber;
      this.#canaryChannel = this.#options.canary.channel;
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
        link.moved$.pipe(gatherTurn(this.#options.time.turnEnd$)).subscribe(() => {
          this.#takenAway(link);
        }),
      );
      const begun$ = defer(() => {
        this.#begin(bornMs);
        return this.#prove(link);
      });
      const { misplacedChannel } = this.#options;
      const ours = misplacedChannel === undefined ? [this.#canaryChannel] : [this.#canaryChannel, misplacedChannel];
      const asked = [...ours, ...this.#channelsOf(this.#wanted.keys())];
      this.#soon = [];
      subscriber.add(concat(this.#ask(asked), begun$).subscribe({ error: this.#fail }));
    });
  }

  /**
   * See `Broker.subscribe`.
   *
   * @param lostMs of a room that was heard elsewhere before, the last proof that it was: a gap goes before what comes
   */
  subscribe(room: string, lostMs?: number): Observable<boolean> {
    return new Observable((subscriber) => {
      this.#wanted.set(room, { subscriber, confirmed: false, open: false, lostMs });
      if (lostMs !== undefined) this.#returning.add(room);
      this.#askSoon(room);
      return () => {
        this.#wanted.delete(room);
        if (this.#returning.delete(room) && this.#returning.size === 0 && this.#isLive) this.#openConfirmed();
        this.#link?.unsubscribe(this.#options.channels.channelOf(room));
      };
    });
  }

  /** Of a room that is about to be subscribed to elsewhere and was heard here: when it may have missed something, at the earliest. */
  lostMs(room: string): number | undefined {
    const wanted = this.#wanted.get(room);
    return wanted?.open === true ? this.#movedMs() : wanted?.lostMs;
  }

  /** Asks once more for what is not confirmed. */
  askAgain(): void {
    if (this.#isLive) this.#askFor([...this.#wanted].filter(([, { confirmed }]) => !confirmed).map(([room]) => room));
  }

  /** With one command for all the rooms that are entered in one turn: when a pod fills up, a command for each is felt. */
  #askSoon(room: string): void {
    if (this.#soon.push(room) > 1) return;
    this.#options.time.turnEnd$.subscribe(() => {
      const rooms = this.#soon.filter((soon) => this.#wanted.get(soon)?.confirmed === false);
      this.#soon = [];
      this.#askFor(rooms);
    });
  }

  /** As long as the present life lasts; the next one asks for everything. */
  #askFor(rooms: readonly string[]): void {
    if (rooms.length > 0) this.#output?.add(this.#ask(this.#channelsOf(rooms)).subscribe({ error: this.#fail }));
  }

  /** Completes when Redis has confirmed all the channels, or said that they are not its own. */
  #ask(asked: readonly string[]): Observable<never> {
    const link = this.#link;
    if (link === undefined) return EMPTY;
    const { timeoutMs, time, together, refused } = this.#options;
    // Who leaves a room and comes back while an answer is under way waits for that to the second question.
    const asking = asked.map((channel) => [channel, this.#wantedAt(channel)] as const);
    const wantedAt = new Map(asking);
    const confirmed$ = together(asked).map((some) =>
      from(link.subscribe(some)).pipe(
        tap(() => {
          for (const channel of some) this.#confirm(channel, wantedAt.get(channel));
        }),
        ignoreElements(),
        catchError((error: unknown) => {
          if (refused(some, error)) return EMPTY;
          throw error;
        }),
      ),
    );
    return from(confirmed$).pipe(mergeAll(), answered(link, 'SUBSCRIBE', timeoutMs, time));
  }

  #wantedAt(channel: string): Wanted | undefined {
    const room = this.#options.channels.roomOf(channel);
    return room === undefined ? undefined : this.#wanted.get(room);
  }

  #confirm(channel: string, wanted: Wanted | undefined): void {
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

  #begin(bornMs: number): void {
    this.#isLive = true;
    this.#isProven = false;
    this.#returning.clear();
    this.#openConfirmed();
    this.#provenMs = bornMs;
    this.#wholeMs = this.#options.time.scheduler.now();
  }

  #openConfirmed(): void {
    this.#open([...this.#wanted].filter(([, { confirmed, open }]) => confirmed && !open));
  }

  /** What may have been missed is told before anything comes. */
  #open(rooms: readonly (readonly [room: string, wanted: Wanted])[]): void {
    const lost = rooms.filter(([, { lostMs }]) => lostMs !== undefined);
    if (lost.length > 0) {
      const provenMs = lost.reduce((least, [, { lostMs = least }]) => Math.min(least, lostMs), Infinity);
      // What Redis took after the proof may bear a time from before it: a publish is under way for as long as its timeout.
      const sinceMs = provenMs - this.#options.timeoutMs;
      this.#output?.next({ kind: 'gap', rooms: new Set(lost.map(([room]) => room)), sinceMs });
    }
    for (const [, wanted] of rooms) {
      wanted.open = true;
      wanted.lostMs = undefined;
      wanted.subscriber.next(true);
    }
  }

  /** Rooms that the server took away are asked for again, here, where it says who has them now. */
  #takenAway(link: RedisLink): void {
    const still = link.channels();
    for (const [room, wanted] of this.#wanted) {
      if (!wanted.confirmed || still.has(this.#options.channels.channelOf(room))) continue;
      if (wanted.open) {
        wanted.lostMs = this.#movedMs();
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
  #movedMs(): number {
    return Math.min(this.#certainMs, this.#options.time.scheduler.now() - CANARY_INTERVAL_MS);
  }

  /** Nothing that was published before was missed: it came through, and from the right server. */
  get #certainMs(): number {
    return Math.min(this.#provenMs, this.#options.certainMs?.() ?? Infinity);
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
      received: () => this.#received,
      time,
    }).pipe(
      tap({
        next: (proof) => {
          if ('refusal' in proof) this.#notPublished(proof.refusal);
          else this.#proven(proof);
        },
        error: (error: unknown) => {
          if (error instanceof StrayError && !this.#isProven) onStray(this.#heardMs);
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

  #proven({ sentMs, isKnown }: { readonly sentMs: number; readonly isKnown: boolean }): void {
    this.#heardMs = sentMs;
    this.#isProven = true;
    if (isKnown) this.#provenMs = sentMs;
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
    this.#received += 1;
    const room = this.#options.channels.roomOf(channel);
    if (room === undefined) {
      if (channel === this.#canaryChannel) this.#options.canary.hear(payload);
      else if (channel === this.#options.misplacedChannel) this.#hearMisplaced(payload, subscriber);
      return;
    }
    // Redis may still speak of a room that was left a moment ago.
    if (this.#wanted.get(room)?.open === true) subscriber.next({ kind: 'publication', room, payload });
  }

  /** Another pod found that it had spoken to a server that was the master no longer. What was before this life is told already. */
  #hearMisplaced(payload: Buffer, subscriber: Subscriber<BrokerEvent>): void {
    const span = readSpan(payload);
    if (span && this.#isLive && span.untilMs > this.#wholeMs) subscriber.next({ kind: 'gap', sinceMs: span.sinceMs });
  }

  #end(): void {
    this.#link = undefined;
    this.#output = undefined;
    this.#isLive = false;
    for (const wanted of this.#wanted.values()) {
      if (wanted.open) {
        wanted.lostMs = this.#certainMs;
        wanted.subscriber.next(false);
      }
      wanted.open = wanted.confirmed = false;
    }
  }

  #channelsOf(rooms: Iterable<string>): readonly string[] {
    return [...rooms].map((room) => this.#options.channels.channelOf(room));
  }
}

/** Parts of at most so many. */
export function chunks<T>(values: readonly T[], size: number): readonly T[][] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, at) => values.slice(at * size, (at + 1) * size));
}

function asLinkError(error: unknown): LinkError {
  return error instanceof LinkError ? error : new LinkError(error instanceof Error ? error.message : String(error));
}
