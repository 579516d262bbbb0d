import type { Subscriber } from 'rxjs';
import { LeanSubscriber, OperatorSubscriber } from '../operators/operator-subscriber.js';
import type { Batch } from './frame.js';
import { elementsOf, has, sizeOf, withAdded, withRemoved, type SmallSet } from './small-set.js';
import { Queue } from './queue.js';
import type { Publication } from '../broker/broker.js';
import type { RoundTrip } from './round-trip.js';

/** The part of the hub that a room calls. */
export interface RoomHost {
  /** The room's subscription was confirmed or lost. */
  confirmed(room: Room, isConfirmed: boolean): void;
  /** The broker has refused the room permanently. */
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
 * One room on this pod: its members and the subscription to the broker that they share. To save memory, the room is itself the subscriber
 * and keeps its sets as `SmallSet`: a pod may have 200,000 rooms, most of them with one member.
 */
export class Room extends LeanSubscriber<boolean> {
  readonly name: string;
  /** Undefined if nothing has arrived in this turn. */
  arrivals: Arrivals | undefined;
  readonly #host: RoomHost;
  #members: SmallSet<Member>;
  #pendingJoins: SmallSet<PendingJoin>;
  /** Publishes of this pod that have not returned yet: mostly none or one, which needs no map. */
  #expected: RoundTrip | RoundTrips | undefined;
  /** The number of connections that are in the room or have a pending join. */
  #users = 0;
  #isConfirmed = false;

  constructor(name: string, host: RoomHost) {
    super();
    this.name = name;
    this.#host = host;
  }

  /** Whether the broker has confirmed the subscription, so that what is published now will arrive. */
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

  get pendingJoins(): Iterable<PendingJoin> {
    return elementsOf(this.#pendingJoins);
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

  /** @returns whether it was a member */
  removeMember(member: Member): boolean {
    if (!has(this.#members, member)) return false;
    this.#members = withRemoved(this.#members, member);
    return true;
  }

  addPendingJoin(wait: PendingJoin): void {
    this.#pendingJoins = withAdded(this.#pendingJoins, wait);
  }

  removePendingJoin(wait: PendingJoin): void {
    this.#pendingJoins = withRemoved(this.#pendingJoins, wait);
  }

  /** Registers a publish to the room that is expected to return. */
  expect(trip: RoundTrip): void {
    if (this.#expected === undefined) {
      this.#expected = trip;
      return;
    }
    const trips = this.#expected instanceof Map ? this.#expected : (new Map([[this.#expected.id, this.#expected]]) as RoundTrips);
    this.#expected = trips;
    const earlier = trips.get(trip.id);
    if (earlier instanceof Queue) earlier.add(trip);
    else trips.set(trip.id, earlier === undefined ? trip : new Queue([earlier, trip]));
  }

  /** The publish failed and is no longer expected. */
  forget(trip: RoundTrip): void {
    if (this.#expected === trip) this.#expected = undefined;
    if (!(this.#expected instanceof Map)) return;
    const trips = this.#expected.get(trip.id);
    if (trips === trip) this.#forgetId(trip.id, this.#expected);
    else if (trips instanceof Queue && trips.delete(trip) && trips.size === 0) this.#forgetId(trip.id, this.#expected);
  }

  /** A message with this id has arrived. @returns the publish that it is the echo of: the oldest one, because a room keeps the order */
  takeReturned(id: string): RoundTrip | undefined {
    const all = this.#expected;
    if (all === undefined) return undefined;
    if (!(all instanceof Map)) {
      if (all.id !== id) return undefined;
      this.#expected = undefined;
      return all;
    }
    const trips = all.get(id);
    const trip = trips instanceof Queue ? trips.take() : trips;
    if (trip !== undefined && (trip === trips || (trips instanceof Queue && trips.size === 0))) this.#forgetId(id, all);
    return trip;
  }

  /** A copy of the publishes to the room that have not returned. */
  roundTrips(): readonly RoundTrip[] {
    if (!(this.#expected instanceof Map)) return this.#expected === undefined ? [] : [this.#expected];
    return [...this.#expected.values()].flatMap((trips) => (trips instanceof Queue ? [...trips] : [trips]));
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

  /** Drops the map with its last entry, to save memory in quiet rooms. */
  #forgetId(id: string, trips: RoundTrips): void {
    trips.delete(id);
    if (trips.size === 0) this.#expected = undefined;
  }
}

/** A connection's request to join or leave rooms. */
export interface MembershipChange {
  readonly kind: 'join' | 'leave';
  readonly rooms: readonly string[];
}

/**
 * A batch of a room's messages, or a change of membership. A join of several rooms takes effect at once for all of them, when the last is
 * confirmed; `refused` means that the broker has refused the rooms permanently.
 */
export type MemberEvent = { readonly kind: 'joined' | 'left' | 'refused'; readonly rooms: readonly string[] } | Batch;

/** A join of several rooms that waits until all of them are confirmed. */
export interface PendingJoin {
  readonly member: Member;
  readonly rooms: readonly Room[];
  /** How many of the rooms are not confirmed. */
  unconfirmed: number;
}

const NOTHING: readonly PendingJoin[] = [];

/** The part of the hub that a member calls. */
export interface MemberHost {
  change(member: Member, change: MembershipChange): void;
  leaveAll(member: Member): void;
}

/** A connection as a member of rooms: takes joins and leaves, emits batches, and leaves every room when it is unsubscribed. */
export class Member extends OperatorSubscriber<MembershipChange, MemberEvent> {
  readonly clientId: string;
  /** `from` of its messages. */
  readonly identity: string;
  /** The rooms that it is in or has a pending join for. */
  rooms: readonly Room[] = [];
  pendingJoins: readonly PendingJoin[] = NOTHING;
  /** Used by `fanOut`: the batch of this turn so far. */
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

  protected override _complete(): void {
    // A connection without further changes stays in its rooms.
  }
}
