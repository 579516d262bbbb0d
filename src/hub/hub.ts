import { Observable, Subject, Subscription } from 'rxjs';
import type { Broker, BrokerEvent, Gap } from '../broker/broker.js';
import { fanOut } from './fan-out.js';
import type { Logger } from '../log.js';
import { Lingering } from './lingering.js';
import { Member, type MemberEvent, type MemberHost, type MembershipChange, type Wait } from './member.js';
import type { Metrics } from '../metrics.js';
import { gatherTurn } from '../operators/gatherTurn.js';
import { GLOBAL_ROOM } from '../protocol.js';
import { checkPublication, type Publication } from './publication.js';
import { PublishBudget } from './publish-budget.js';
import { Room, type RoomHost } from './room.js';
import type { RoundTrip, RoundTripHost } from './round-trip.js';
import { gapBatch } from './server-message.js';
import type { World } from '../world.js';

/** A connection came into a room or went out of it. */
export interface MembershipEvent {
  readonly kind: 'online' | 'offline';
  readonly room: string;
  readonly clientId: string;
  readonly identity: string;
  /** Members of the room on this pod, whom this is about included. */
  readonly members: number;
}

export interface HubOptions {
  readonly broker: Broker;
  readonly world: World;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** A publication may be so large, in bytes. */
  readonly maxPublicationBytes: number;
  /** How long a room's subscription outlives its last member. */
  readonly lingerMs: number;
  /** The pod hears at most so many rooms at once. */
  readonly maxRooms: number;
}

/** A lag beyond this is a publisher's wrong clock. */
const MAX_LAG_S = 3600;

/** A publish that is older than this, and has not come back this long after it was accepted, never will: the broker broke its promise of a gap. */
const RETURN_TIMEOUT_MS = 30_000;

/** The global room is the pod's own. */
const OWN_ROOMS = 1;

/** An invalid publication is logged once per room in this time. */
const COMPLAINT_INTERVAL_MS = 60_000;

/**
 * The one place where the broker's central stream is demultiplexed by room.
 *
 * What arrives in one turn of the event loop for a room becomes one batch, whose bytes all members share; a member of several
 * rooms that spoke gets one batch too. So a busy room costs each member one write per turn, however much was said.
 */
export class Hub {
  /** Joins and leaves, after they took effect. */
  readonly membership$ = new Subject<MembershipEvent>();
  readonly #options: HubOptions;
  /** What the pod has under way at the broker. */
  readonly budget = new PublishBudget();
  readonly #rooms = new Map<string, Room>();
  readonly #lingering: Lingering;
  readonly #connection = new Subscription();
  /** When each room's invalid publications were last logged, the longest ago first. */
  readonly #loggedMs = new Map<string, number>();
  readonly #memberHost: MemberHost = {
    change: (member, { kind, rooms }) => {
      if (kind === 'join') this.#join(member, rooms);
      else this.#leave(member, rooms);
    },
    leaveAll: (member) => {
      this.#leaveAll(member);
    },
  };
  readonly #tripHost: RoundTripHost = {
    budget: this.budget,
    answered: ({ startedMs }, outcome) => {
      const { metrics, world } = this.#options;
      metrics.published(outcome, (world.scheduler.now() - startedMs) / 1000);
    },
  };
  readonly #roomHost: RoomHost = {
    confirmed: (room, isConfirmed) => {
      if (isConfirmed) this.#confirmed(room);
      else this.#lost(room);
    },
    refused: (room, error) => {
      this.#refused(room, error);
    },
  };

  constructor(options: HubOptions) {
    this.#options = options;
    const { broker, world, lingerMs } = options;
    this.#lingering = new Lingering(lingerMs, world.scheduler, (room) => {
      this.#end(room);
    });
    this.#connection.add(
      broker.events$.pipe(gatherTurn(world.turnEnd$, ({ kind }) => kind === 'gap')).subscribe((turn) => {
        this.#receiveTurn(turn);
      }),
    );
    this.#room(GLOBAL_ROOM).acquire();
  }

  /**
   * One connection's place in the hub: everything that its rooms say, as long as it is subscribed to.
   *
   * @param change$ what the connection wants; it belongs to no room, not even the global one, before it says so
   * @param identity `from` of what the connection publishes; without authentication its id
   */
  member$(clientId: string, change$: Observable<MembershipChange>, identity = clientId): Observable<MemberEvent> {
    return new Observable((subscriber) => change$.subscribe(new Member(subscriber, clientId, identity, this.#memberHost)));
  }

  /** Publishes an envelope. @param trip is told what becomes of it, with `PublishError` where it fails; unsubscribing gives it up */
  publish(room: string, envelope: string, trip: RoundTrip): void {
    const { broker, world } = this.#options;
    trip.begin(this.#tripHost, world.scheduler.now(), this.#rooms.get(room));
    broker.publish(room, envelope).subscribe(trip);
  }

  /** Members of a room on this pod. */
  memberCount(room: string): number {
    return this.#rooms.get(room)?.memberCount ?? 0;
  }

  /** Whether the pod may hear these rooms too. Rooms that linger make room for others. */
  hasPlaceFor(rooms: readonly string[]): boolean {
    const more = rooms.reduce((count, room) => (this.#rooms.get(room)?.isUsed === true ? count : count + 1), 0);
    const used = this.#rooms.size - this.#lingering.size;
    return more === 0 || used + more <= this.#options.maxRooms + OWN_ROOMS;
  }

  /** To be called now and then. */
  tick(): void {
    const { world, log } = this.#options;
    const overdue = this.budget.overdue(world.scheduler.now(), RETURN_TIMEOUT_MS);
    if (overdue.length > 0)
      log.error({ publishes: overdue.length }, 'publishes neither returned nor reported lost by the broker');
    for (const trip of overdue) trip.lost('it did not come back');
  }

  /** Leaves the broker. */
  close(): void {
    for (const room of this.#rooms.values()) this.#end(room);
    this.#lingering.stop();
    this.#connection.unsubscribe();
    this.membership$.complete();
  }

  #room(name: string): Room {
    const existing = this.#rooms.get(name);
    if (existing) return existing;
    const { broker, maxRooms } = this.#options;
    this.#lingering.endOldest(this.#rooms.size + 1 - maxRooms - OWN_ROOMS);
    const room = new Room(name, this.#roomHost);
    this.#rooms.set(name, room);
    broker.subscribe(name).subscribe(room);
    return room;
  }

  #join(member: Member, names: readonly string[]): void {
    // Those that linger first, or one of them might be ended to make room for another that is made here.
    this.#ask(member, this.#named(names));
    const all = names.map((name) => this.#room(name));
    const rooms = all.filter(({ closed }) => !closed);
    this.#ask(member, rooms);
    const refused = all.filter(({ closed }) => closed).map(({ name }) => name);
    if (refused.length > 0) member.receive({ kind: 'refused', rooms: refused });
    if (member.closed) return;
    const wait: Wait = { member, rooms, unconfirmed: rooms.filter((room) => !room.isConfirmed).length };
    if (wait.unconfirmed === 0) {
      this.#enter(member, rooms);
      return;
    }
    member.waits = [...member.waits, wait];
    for (const room of rooms) room.addWait(wait);
  }

  #ask(member: Member, rooms: readonly Room[]): void {
    const asked = new Set(member.rooms);
    const more = rooms.filter((room) => !asked.has(room));
    member.rooms = member.rooms.concat(more);
    for (const room of more) {
      if (!room.isUsed) this.#lingering.delete(room);
      room.acquire();
    }
  }

  #confirmed(room: Room): void {
    for (const wait of [...room.waits]) {
      wait.unconfirmed -= 1;
      if (wait.unconfirmed > 0) continue;
      this.#forget(wait);
      this.#enter(wait.member, wait.rooms);
    }
  }

  /** The members stay: what they miss is told by a gap when the subscription is back. Publishes that had not come back never will. */
  #lost(room: Room): void {
    for (const wait of room.waits) wait.unconfirmed += 1;
    for (const trip of room.roundTrips()) trip.lost('the subscription was lost before the message came back');
  }

  #refused(room: Room, error: unknown): void {
    const { log } = this.#options;
    const members = new Set(room.members);
    for (const { member } of room.waits) members.add(member);
    // A client may ask for as many rooms as it likes; the broker says within bounds what it refused.
    log.debug({ room: room.name, err: error }, 'room refused by the broker');
    this.#end(room);
    for (const member of members) {
      this.#exit(member, room);
      this.#forgetIdle(member);
      member.receive({ kind: 'refused', rooms: [room.name] });
    }
  }

  #enter(member: Member, rooms: readonly Room[]): void {
    // It may have left some of them before they were confirmed.
    const asked = new Set(member.rooms);
    const present = rooms.filter((room) => asked.has(room));
    const entered = present.filter((room) => !room.hasMember(member));
    for (const room of entered) {
      room.addMember(member);
      if (room.memberCount === 1) this.#countRoom(room, 1);
    }
    // Told first, so that what the member says as soon as it is in comes after its presence.
    for (const room of entered) this.#tell('online', member, room, room.memberCount);
    if (present.length > 0) member.receive({ kind: 'joined', rooms: present.map(({ name }) => name) });
  }

  #leave(member: Member, names: readonly string[]): void {
    const left = new Set(names);
    for (const room of member.rooms) if (left.has(room.name)) this.#exit(member, room);
    this.#forgetIdle(member);
    member.receive({ kind: 'left', rooms: names });
  }

  #leaveAll(member: Member): void {
    const { rooms, waits } = member;
    member.rooms = [];
    for (const wait of waits) this.#forget(wait);
    for (const room of rooms) this.#exit(member, room);
  }

  /** A member that wants none of the rooms any more no longer waits for them. */
  #forgetIdle(member: Member): void {
    for (const wait of member.waits) if (!wait.rooms.some((room) => member.rooms.includes(room))) this.#forget(wait);
  }

  #forget(wait: Wait): void {
    const { member, rooms } = wait;
    member.waits = member.waits.filter((other) => other !== wait);
    for (const room of rooms) room.removeWait(wait);
  }

  #exit(member: Member, room: Room): void {
    const members = room.memberCount;
    if (member.rooms.length > 0) member.rooms = member.rooms.filter((other) => other !== room);
    if (room.removeMember(member)) {
      if (members === 1) this.#countRoom(room, -1);
      this.#tell('offline', member, room, members);
    }
    room.release();
    if (!room.isUsed && this.#rooms.get(room.name) === room) this.#lingering.add(room);
  }

  /** Leaves the broker's room at once. */
  #end(room: Room): void {
    this.#lingering.delete(room);
    if (this.#rooms.get(room.name) === room) this.#rooms.delete(room.name);
    room.unsubscribe();
    for (const trip of room.roundTrips()) trip.returned();
  }

  #tell(kind: 'online' | 'offline', { clientId, identity }: Member, { name }: Room, members: number): void {
    if (name !== GLOBAL_ROOM) this.membership$.next({ kind, room: name, clientId, identity, members });
  }

  #countRoom({ name }: Room, change: 1 | -1): void {
    if (name !== GLOBAL_ROOM) this.#options.metrics.rooms(change);
  }

  /** What was published before a gap reaches its members before the gap does, and what came after it, after. */
  #receiveTurn(turn: readonly BrokerEvent[]): void {
    let spoke: Room[] = [];
    const returned: RoundTrip[] = [];
    for (const event of turn) {
      const gap = event.kind === 'gap' ? event : this.#receive(event, spoke, returned);
      if (gap === undefined) continue;
      fanOut(spoke);
      spoke = [];
      this.#sendGap(gap);
    }
    fanOut(spoke);
    // Last, so that a connection that waits for its publishes in order to close has their echoes first.
    for (const trip of returned) trip.returned();
  }

  /** @returns the gap that stands where the publication was dropped */
  #receive(publication: Publication, spoke: Room[], returned: RoundTrip[]): Gap | undefined {
    const { maxPublicationBytes, metrics, world } = this.#options;
    const check = checkPublication(publication, maxPublicationBytes);
    if (!check.ok) {
      metrics.brokerInvalid();
      this.#logInvalid(publication.room, check.reason);
      if (check.sinceMs === undefined) return undefined;
      return { kind: 'gap', reason: 'too_large', rooms: new Set([publication.room]), sinceMs: check.sinceMs };
    }
    const room = this.#rooms.get(publication.room);
    if (room === undefined) return undefined;
    const trip = room.takeReturned(check.id);
    if (trip) returned.push(trip);
    if (room.memberCount === 0) return undefined;
    metrics.deliveryLag(lagSeconds(world.wallMs() - check.publishedAtMs));
    if (room.arrivals === undefined) {
      room.arrivals = { publications: [publication], sinceMs: check.publishedAtMs };
      spoke.push(room);
    } else {
      room.arrivals.publications.push(publication);
      room.arrivals.sinceMs = Math.min(room.arrivals.sinceMs, check.publishedAtMs);
    }
    return undefined;
  }

  /** Once to each connection, however many of its rooms have it. What was accepted before a gap may have gone where nobody heard it. */
  #sendGap({ reason = 'subscription', rooms: names, sinceMs }: Gap): void {
    const batch = gapBatch(reason, sinceMs, this.#options.world);
    const members = new Set<Member>();
    // Every connection is in the global room.
    for (const room of this.#named(names ?? [GLOBAL_ROOM])) for (const member of room.members) members.add(member);
    for (const member of members) member.receive(batch);
    if (reason === 'subscription') for (const room of names ? this.#named(names) : this.#rooms.values()) this.#loseAccepted(room);
  }

  #named(names: Iterable<string>): readonly Room[] {
    return [...names].map((name) => this.#rooms.get(name)).filter((room) => room !== undefined);
  }

  #loseAccepted(room: Room): void {
    for (const trip of room.roundTrips()) if (trip.isAccepted) trip.lost('it may have gone where nobody hears it');
  }

  #logInvalid(room: string, reason: string): void {
    const nowMs = this.#options.world.scheduler.now();
    for (const [silent, sinceMs] of this.#loggedMs) {
      if (nowMs - sinceMs < COMPLAINT_INTERVAL_MS) break;
      this.#loggedMs.delete(silent);
    }
    if (this.#loggedMs.has(room)) return;
    this.#loggedMs.set(room, nowMs);
    this.#options.log.warn({ room, reason }, 'invalid publication dropped');
  }
}

/** Any service may publish, with whatever clock: one wrong timestamp must not spoil the sum of all. */
function lagSeconds(lagMs: number): number {
  return Math.min(Math.max(lagMs / 1000, 0), MAX_LAG_S);
}
