import { Sink } from '../operators/stage.js';
import { elementsOf, has, sizeOf, withAdded, withRemoved, type Few } from './few.js';
import { Line } from './line.js';
import type { Member, Wait } from './member.js';
import type { Publication } from './publication.js';
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

/** What few rooms have at a moment. */
interface Busy {
  arrivals: Arrivals | undefined;
  waits: Few<Wait>;
  /** Publishes of this pod that have not come back yet, by the id of their message: a client may use one id for several messages. */
  roundTrips: Map<string, RoundTrip | Line<RoundTrip>> | undefined;
}

/**
 * One room on this pod: its members, and the broker's subscription that they share. It is itself the subscriber to the broker's
 * room, and keeps its sets as `Few`: a pod may have 200,000 rooms, most of them with one member.
 */
export class Room extends Sink<boolean> {
  readonly name: string;
  readonly #host: RoomHost;
  #members: Few<Member>;
  #busy: Busy | undefined;
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

  get waits(): Iterable<Wait> {
    return elementsOf(this.#busy?.waits);
  }

  /** Undefined while nothing has arrived in this turn. */
  get arrivals(): Arrivals | undefined {
    return this.#busy?.arrivals;
  }

  set arrivals(arrivals: Arrivals | undefined) {
    this.#makeBusy().arrivals = arrivals;
    this.#rest();
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

  addWait(wait: Wait): void {
    const busy = this.#makeBusy();
    busy.waits = withAdded(busy.waits, wait);
  }

  removeWait(wait: Wait): void {
    const busy = this.#makeBusy();
    busy.waits = withRemoved(busy.waits, wait);
    this.#rest();
  }

  /** A publish to the room is under way and will come back. */
  expect(trip: RoundTrip): void {
    const trips = (this.#makeBusy().roundTrips ??= new Map<string, RoundTrip | Line<RoundTrip>>());
    const earlier = trips.get(trip.id);
    if (earlier instanceof Line) earlier.add(trip);
    else trips.set(trip.id, earlier === undefined ? trip : new Line([earlier, trip]));
  }

  /** It failed, and is expected no more. */
  forget(trip: RoundTrip): void {
    const trips = this.#busy?.roundTrips?.get(trip.id);
    if (trips === trip) this.#forgetId(trip.id);
    else if (trips instanceof Line && trips.delete(trip) && trips.size === 0) this.#forgetId(trip.id);
  }

  /** A message with this id has arrived. @returns the publish that it is the echo of: the oldest, for a room has one order */
  takeReturned(id: string): RoundTrip | undefined {
    const trips = this.#busy?.roundTrips?.get(id);
    const trip = trips instanceof Line ? trips.take() : trips;
    if (trip !== undefined && (trip === trips || (trips instanceof Line && trips.size === 0))) this.#forgetId(id);
    return trip;
  }

  /** Publishes to the room that have not come back, as they are now. */
  roundTrips(): readonly RoundTrip[] {
    return [...(this.#busy?.roundTrips?.values() ?? [])].flatMap((trips) => (trips instanceof Line ? [...trips] : [trips]));
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

  #forgetId(id: string): void {
    const busy = this.#makeBusy();
    busy.roundTrips?.delete(id);
    if (busy.roundTrips?.size === 0) busy.roundTrips = undefined;
    this.#rest();
  }

  #makeBusy(): Busy {
    return (this.#busy ??= { arrivals: undefined, waits: undefined, roundTrips: undefined });
  }

  /** Gives the memory back that a quiet room does not need. */
  #rest(): void {
    const { arrivals, waits, roundTrips } = this.#makeBusy();
    if (arrivals === undefined && waits === undefined && roundTrips === undefined) this.#busy = undefined;
  }
}
