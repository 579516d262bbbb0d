import type { Subscriber } from 'rxjs';
import { LeanSubscriber, OperatorSubscriber } from '../operators/operator-subscriber.js';
import type { Batch } from './frame.js';
import { elementsOf, has, sizeOf, withAdded, withRemoved, type SmallSet } from './small-set.js';
import { Queue } from './queue.js';

import type { Publication } from '../broker/broker.js';
import type { RoundTrip } from './round-trip.js';

/** The hub, as a room sees it. */
export interface RoomHost {
  /** The broker has confirmed the room's subscription, or has lost it. */
  confirmed(room: Room, isConfirmed: boolean): void;
  /** The broker refuses the room for good. */
  refused(room: Room, error: unknown): void;
}

/** The publications that arrived for a room within one turn of the event loop. */
export interface Arrivals {
  readonly publications: Publication[];
  /** The earliest timestamp among them, in milliseconds since the epoch. */
  sinceMs: number;
}

/** Publishes by the id of their message: a client may use one id for several messages. */
type RoundTrips = Map<string, RoundTrip | Queue<RoundTrip>>;

/**
 * One room on this pod: its members, and the broker's subscription that they share. It is itself the subscriber to the broker's
 * room, and keeps its sets as `Few`: a pod may have 200,000 rooms, most of them with one member.
 */
export class Room extends LeanSubscriber<boolean> {
  readonly name: string;
  /** Undefined while nothing has arrived in this turn. */
  arrivals: Arrivals | undefined;
  readonly #host: RoomHost;
  #members: SmallSet<Member>;
  #waits: SmallSet<PendingJoin>;
  /** Publishes of this pod that have not come back yet: mostly none or one, which needs no map. */
  #trips: RoundTrip | RoundTrips | undefined;
  /** Connections that are in the room, or wait to be. */
  #users = 0;
  #isConfirmed = false;

  constructor(name: string, host: RoomHost) {
    super();
    this.name = name;
    this.#host = host;
  }

  /** Whether the broker's subscription is confirmed: what is published now will arrive. */
  get isConfirmed(): boolean {
    return this.#isConfirmed;
  }

  get isUsed(): boolean {
    return this.#users > 0;
  }

  get memberCount(): number {
    return sizeOf(this.#members);
  }

  get members(): Iterable<Member> {
    return elementsOf(this.#members);
  }

  get waits(): Iterable<PendingJoin> {
    return elementsOf(this.#waits);
  }

  acquire(): void {
    this.#users += 1;
  }

  release(): void {
    this.#users -= 1;
  }

  hasMember(member: Member): boolean {
    return has(this.#members, member);
  }

  addMember(member: Member): void {
    this.#members = withAdded(this.#members, member);
  }

  /** @returns false where it was no member */
  removeMember(member: Member): boolean {
    if (!has(this.#members, member)) return false;
    this.#members = withRemoved(this.#members, member);
    return true;
  }

  addWait(wait: PendingJoin): void {
    this.#waits = withAdded(this.#waits, wait);
  }

  removeWait(wait: PendingJoin): void {
    this.#waits = withRemoved(this.#waits, wait);
  }

  /** A publish to the room is under way and will come back. */
  expect(trip: RoundTrip): void {
    if (this.#trips === undefined) {
      this.#trips = trip;
      return;
    }
    const trips = this.#trips instanceof Map ? this.#trips : (new Map([[this.#trips.id, this.#trips]]) as RoundTrips);
    this.#trips = trips;
    const earlier = trips.get(trip.id);
    if (earlier instanceof Queue) earlier.add(trip);
    else trips.set(trip.id, earlier === undefined ? trip : new Queue([earlier, trip]));
  }

  /** It failed, and is expected no more. */
  forget(trip: RoundTrip): void {
    if (this.#trips === trip) this.#trips = undefined;
    if (!(this.#trips instanceof Map)) return;
    const trips = this.#trips.get(trip.id);
    if (trips === trip) this.#forgetId(trip.id, this.#trips);
    else if (trips instanceof Queue && trips.delete(trip) && trips.size === 0) this.#forgetId(trip.id, this.#trips);
  }

  /** A message with this id has arrived. @returns the publish that it is the echo of: the oldest, for a room has one order */
  takeReturned(id: string): RoundTrip | undefined {
    const all = this.#trips;
    if (all === undefined) return undefined;
    if (!(all instanceof Map)) {
      if (all.id !== id) return undefined;
      this.#trips = undefined;
      return all;
    }
    const trips = all.get(id);
    const trip = trips instanceof Queue ? trips.take() : trips;
    if (trip !== undefined && (trip === trips || (trips instanceof Queue && trips.size === 0))) this.#forgetId(id, all);
    return trip;
  }

  /** Publishes to the room that have not come back, as they are now. */
  roundTrips(): readonly RoundTrip[] {
    if (!(this.#trips instanceof Map)) return this.#trips === undefined ? [] : [this.#trips];
    return [...this.#trips.values()].flatMap((trips) => (trips instanceof Queue ? [...trips] : [trips]));
  }

  protected override _next(isConfirmed: boolean): void {
    if (isConfirmed === this.#isConfirmed) return;
    this.#isConfirmed = isConfirmed;
    this.#host.confirmed(this, isConfirmed);
  }

  protected override _error(error: unknown): void {
    this.#isConfirmed = false;
    this.unsubscribe();
    this.#host.refused(this, error);
  }

  /** Gives the memory back that a quiet room does not need. */
  #forgetId(id: string, trips: RoundTrips): void {
    trips.delete(id);
    if (trips.size === 0) this.#trips = undefined;
  }
}

/** A connection wants to be in rooms, or out of them. */
export interface MembershipChange {
  readonly kind: 'join' | 'leave';
  readonly rooms: readonly string[];
}

/**
 * A member receives the batches of its rooms, and word of the rooms themselves: it is in them (all of them at once, when the last is
 * confirmed), it is out of them, or the broker refuses them.
 */
export type MemberEvent = { readonly kind: 'joined' | 'left' | 'refused'; readonly rooms: readonly string[] } | Batch;

/** Rooms that a member waits to be let into together. */
export interface PendingJoin {
  readonly member: Member;
  readonly rooms: readonly Room[];
  /** How many of them are not confirmed. */
  unconfirmed: number;
}

const NOTHING: readonly PendingJoin[] = [];

/** Who carries out what a member wants: the hub. */
export interface MemberHost {
  change(member: Member, change: MembershipChange): void;
  leaveAll(member: Member): void;
}

/** A connection in its rooms: takes what it wants, emits what it hears, and leaves every room with its last subscriber. */
export class Member extends OperatorSubscriber<MembershipChange, MemberEvent> {
  readonly clientId: string;
  /** `from` of what it publishes. */
  readonly identity: string;
  /** The rooms it asked for; it is in those that have it as a member, which one that is not confirmed yet does not. */
  rooms: readonly Room[] = [];
  /** What it asked for that is not confirmed yet. */
  waits: readonly PendingJoin[] = NOTHING;
  /** What this turn has for it so far, where it is in several rooms that spoke. */
  pending: Batch | undefined;
  readonly #host: MemberHost;

  constructor(output: Subscriber<MemberEvent>, clientId: string, identity: string, host: MemberHost) {
    super(output);
    this.clientId = clientId;
    this.identity = identity;
    this.#host = host;
  }

  receive(event: MemberEvent): void {
    this.output.next(event);
  }

  override unsubscribe(): void {
    if (this.closed) return;
    try {
      super.unsubscribe();
    } finally {
      this.#host.leaveAll(this);
    }
  }

  protected override take(change: MembershipChange): void {
    this.#host.change(this, change);
  }

  /** Who wants nothing more stays where it is. */
  protected override _complete(): void {
    // Nothing ends.
  }
}
