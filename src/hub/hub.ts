import { Observable, Subject, Subscription } from 'rxjs';
import type { Broker, BrokerEvent, Gap } from '../broker/broker.js';
import { fanOut } from './fan-out.js';
import { LogThrottle } from '../runtime/log-throttle.js';
import type { Logger } from '../runtime/log.js';
import { Lingering } from './lingering.js';
import { Member, type MemberEvent, type MemberHost, type MembershipChange, type PendingJoin } from './room.js';
import type { Metrics } from '../runtime/metrics.js';
import { bufferTurn } from '../operators/bufferTurn.js';
import { GLOBAL_ROOM } from '../protocol/protocol.js';
import { checkPublication } from './publication.js';
import type { Publication } from '../broker/broker.js';
import { PublishBudget } from './publish-budget.js';
import { Room, type RoomHost } from './room.js';
import type { RoundTrip, RoundTripHost } from './round-trip.js';
import { gapBatch } from './server-message.js';
import type { Runtime } from '../runtime/runtime.js';

/** A connection entered or left a room. */
export interface MembershipEvent {
  readonly kind: 'online' | 'offline';
  readonly room: string;
  readonly clientId: string;
  readonly identity: string;
  /** Members of the room on this pod, including this connection. */
  readonly members: number;
}

export interface HubOptions {
  readonly broker: Broker;
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Larger publications are dropped, in bytes. */
  readonly maxPublicationBytes: number;
  /** How long a room's subscription is kept after its last member left. */
  readonly lingerMs: number;
  /** The most rooms that the pod is subscribed to at once, without the global room. */
  readonly maxRooms: number;
}

/** A longer lag is measured as this: the publisher's clock is wrong. */
const MAX_LAG_S = 3600;

/** See `PublishBudget.overdue`: a publish that is reported by it never returns, although the broker has not emitted a gap for it. */
const RETURN_TIMEOUT_MS = 30_000;

/** The global room, which `maxRooms` does not count. */
const GLOBAL_ROOMS = 1;

/** An invalid publication is logged once per room in this time. */
const LOG_INTERVAL_MS = 60_000;

/**
 * Distributes the broker's event stream to the members of rooms on this pod.
 *
 * The publications that arrive for a room in one turn of the event loop become one batch, whose bytes all members share. A member of
 * several rooms gets one merged batch. A busy room therefore costs each member one write per turn, however many messages arrive.
 */
export class Hub {
  /** Emits joins and leaves after they took effect, except those of the global room. */
  readonly membership$ = new Subject<MembershipEvent>();
  readonly #options: HubOptions;
  /** The publishes of this pod that are under way. */
  readonly budget = new PublishBudget<RoundTrip>();
  readonly #rooms = new Map<string, Room>();
  readonly #lingering: Lingering;
  readonly #connection = new Subscription();
  /** For invalid publications, by room. */
  readonly #throttle: LogThrottle;
  readonly #memberHost: MemberHost = {
    change: (member, { kind, rooms }) => {
      if (kind === 'join') this.#join(member, rooms);
      else this.#leave(member, rooms);
    },
    leaveAll: (member) => {
      this.#leaveAll(member);
    },
  };
  readonly #roundTripHost: RoundTripHost = {
    budget: this.budget,
    answered: ({ startedMs }, outcome) => {
      const { metrics, runtime } = this.#options;
      metrics.published(outcome, (runtime.scheduler.now() - startedMs) / 1000);
    },
  };
  readonly #roomHost: RoomHost = {
    confirmed: (room, isConfirmed) => {
      if (isConfirmed) this.#confirmed(room);
      else this.#unconfirmed(room);
    },
    refused: (room, error) => {
      this.#refused(room, error);
    },
  };

  constructor(options: HubOptions) {
    this.#options = options;
    const { broker, runtime, lingerMs } = options;
    this.#throttle = new LogThrottle({ intervalMs: LOG_INTERVAL_MS, now: () => runtime.scheduler.now() });
    this.#lingering = new Lingering(lingerMs, runtime.scheduler, (room) => {
      this.#end(room);
    });
    this.#connection.add(
      broker.events$.pipe(bufferTurn(runtime.turnEnd$, ({ kind }) => kind === 'gap')).subscribe((turn) => {
        this.#receiveTurn(turn);
      }),
    );
    this.#room(GLOBAL_ROOM).acquire();
  }

  /**
   * The batches and membership events of one connection. Unsubscribing leaves all rooms.
   *
   * @param change$ the connection's joins and leaves; it is in no room, not even the global one, before it joins
   * @param identity `from` of the connection's messages; without authentication its id
   */
  member$(clientId: string, change$: Observable<MembershipChange>, identity = clientId): Observable<MemberEvent> {
    return new Observable((subscriber) => change$.subscribe(new Member(subscriber, clientId, identity, this.#memberHost)));
  }

  /** Publishes an envelope. @param trip notified of the result, a failure being a `PublishError`; unsubscribing it abandons the publish */
  publish(room: string, envelope: string, trip: RoundTrip): void {
    const { broker, runtime } = this.#options;
    trip.begin(this.#roundTripHost, runtime.scheduler.now(), this.#rooms.get(room));
    broker.publish(room, envelope).subscribe(trip);
  }

  /** The number of a room's members on this pod. */
  memberCount(room: string): number {
    return this.#rooms.get(room)?.memberCount ?? 0;
  }

  /** Whether the pod may subscribe to these rooms too. Lingering rooms give way to others. */
  hasPlaceFor(rooms: readonly string[]): boolean {
    const more = rooms.reduce((count, room) => (this.#rooms.get(room)?.isUsed === true ? count : count + 1), 0);
    const used = this.#rooms.size - this.#lingering.size;
    return more === 0 || used + more <= this.#options.maxRooms + GLOBAL_ROOMS;
  }

  /** Fails overdue publishes. To be called regularly. */
  tick(): void {
    const { runtime, log } = this.#options;
    const overdue = this.budget.overdue(runtime.scheduler.now(), RETURN_TIMEOUT_MS);
    if (overdue.length > 0)
      log.error({ publishes: overdue.length }, 'publishes neither returned nor reported lost by the broker');
    for (const trip of overdue) trip.lost('it did not come back');
  }

  /** Unsubscribes from the broker. */
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
    this.#lingering.endOldest(this.#rooms.size + 1 - maxRooms - GLOBAL_ROOMS);
    const room = new Room(name, this.#roomHost);
    this.#rooms.set(name, room);
    broker.subscribe(name).subscribe(room);
    return room;
  }

  #join(member: Member, names: readonly string[]): void {
    // First take the existing rooms out of lingering, or one of them might be ended to make room for another of `names`.
    this.#request(member, this.#existing(names));
    const all = names.map((name) => this.#room(name));
    const rooms = all.filter(({ closed }) => !closed);
    this.#request(member, rooms);
    const refused = all.filter(({ closed }) => closed).map(({ name }) => name);
    if (refused.length > 0) member.receive({ kind: 'refused', rooms: refused });
    if (member.closed) return;
    const join: PendingJoin = { member, rooms, unconfirmed: rooms.filter((room) => !room.isConfirmed).length };
    if (join.unconfirmed === 0) {
      this.#enter(member, rooms);
      return;
    }
    member.pendingJoins = [...member.pendingJoins, join];
    for (const room of rooms) room.addPendingJoin(join);
  }

  #request(member: Member, rooms: readonly Room[]): void {
    const asked = new Set(member.rooms);
    const more = rooms.filter((room) => !asked.has(room));
    member.rooms = member.rooms.concat(more);
    for (const room of more) {
      if (!room.isUsed) this.#lingering.delete(room);
      room.acquire();
    }
  }

  #confirmed(room: Room): void {
    for (const join of [...room.pendingJoins]) {
      join.unconfirmed -= 1;
      if (join.unconfirmed > 0) continue;
      this.#forgetJoin(join);
      this.#enter(join.member, join.rooms);
    }
  }

  /** The members stay and get a gap when the subscription is back. Publishes that have not returned never will. */
  #unconfirmed(room: Room): void {
    for (const join of room.pendingJoins) join.unconfirmed += 1;
    for (const trip of room.roundTrips()) trip.lost('the subscription was lost before the message came back');
  }

  #refused(room: Room, error: unknown): void {
    const { log } = this.#options;
    const members = new Set(room.members);
    for (const { member } of room.pendingJoins) members.add(member);
    // At debug level, because clients can cause any number of these. The broker logs refusals with a limit.
    log.debug({ room: room.name, err: error }, 'room refused by the broker');
    this.#end(room);
    for (const member of members) {
      this.#exit(member, room);
      this.#forgetEmptyJoins(member);
      member.receive({ kind: 'refused', rooms: [room.name] });
    }
  }

  #enter(member: Member, rooms: readonly Room[]): void {
    // The member may have left some of them before they were confirmed.
    const asked = new Set(member.rooms);
    const present = rooms.filter((room) => asked.has(room));
    const entered = present.filter((room) => !room.hasMember(member));
    for (const room of entered) {
      room.addMember(member);
      if (room.memberCount === 1) this.#countRoom(room, 1);
    }
    // Before the member is notified, so that its presence is published before its first message.
    for (const room of entered) this.#emitMembership('online', member, room, room.memberCount);
    if (present.length > 0) member.receive({ kind: 'joined', rooms: present.map(({ name }) => name) });
  }

  #leave(member: Member, names: readonly string[]): void {
    const left = new Set(names);
    for (const room of member.rooms) if (left.has(room.name)) this.#exit(member, room);
    this.#forgetEmptyJoins(member);
    member.receive({ kind: 'left', rooms: names });
  }

  #leaveAll(member: Member): void {
    const { rooms, pendingJoins } = member;
    member.rooms = [];
    for (const join of pendingJoins) this.#forgetJoin(join);
    for (const room of rooms) this.#exit(member, room);
  }

  /** Removes pending joins of which the member has left every room. */
  #forgetEmptyJoins(member: Member): void {
    for (const join of member.pendingJoins) if (!join.rooms.some((room) => member.rooms.includes(room))) this.#forgetJoin(join);
  }

  #forgetJoin(join: PendingJoin): void {
    const { member, rooms } = join;
    member.pendingJoins = member.pendingJoins.filter((other) => other !== join);
    for (const room of rooms) room.removePendingJoin(join);
  }

  #exit(member: Member, room: Room): void {
    const members = room.memberCount;
    if (member.rooms.length > 0) member.rooms = member.rooms.filter((other) => other !== room);
    if (room.removeMember(member)) {
      if (members === 1) this.#countRoom(room, -1);
      this.#emitMembership('offline', member, room, members);
    }
    room.release();
    if (!room.isUsed && this.#rooms.get(room.name) === room) this.#lingering.add(room);
  }

  /** Unsubscribes from a room at once. */
  #end(room: Room): void {
    this.#lingering.delete(room);
    if (this.#rooms.get(room.name) === room) this.#rooms.delete(room.name);
    room.unsubscribe();
    for (const trip of room.roundTrips()) trip.returned();
  }

  #emitMembership(kind: 'online' | 'offline', { clientId, identity }: Member, { name }: Room, members: number): void {
    if (name !== GLOBAL_ROOM) this.membership$.next({ kind, room: name, clientId, identity, members });
  }

  #countRoom({ name }: Room, change: 1 | -1): void {
    if (name !== GLOBAL_ROOM) this.#options.metrics.rooms(change);
  }

  /** Keeps the order of gaps and publications: those before a gap are sent before it, those after it afterwards. */
  #receiveTurn(turn: readonly BrokerEvent[]): void {
    let active: Room[] = [];
    const returned: RoundTrip[] = [];
    for (const event of turn) {
      const gap = event.kind === 'gap' ? event : this.#receive(event, active, returned);
      if (gap === undefined) continue;
      fanOut(active);
      active = [];
      this.#sendGap(gap);
    }
    fanOut(active);
    // Last: a draining connection closes when its publishes have returned, and must have sent their echoes by then.
    for (const trip of returned) trip.returned();
  }

  /** Adds a publication to the arrivals of its room. @returns a gap if the publication was dropped for its size */
  #receive(publication: Publication, active: Room[], returned: RoundTrip[]): Gap | undefined {
    const { maxPublicationBytes, metrics, runtime } = this.#options;
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
    metrics.deliveryLag(lagSeconds(runtime.wallMs() - check.publishedAtMs));
    if (room.arrivals === undefined) {
      room.arrivals = { publications: [publication], sinceMs: check.publishedAtMs };
      active.push(room);
    } else {
      room.arrivals.publications.push(publication);
      room.arrivals.sinceMs = Math.min(room.arrivals.sinceMs, check.publishedAtMs);
    }
    return undefined;
  }

  /** Sends a gap to the members of its rooms, once to each. Publishes that were accepted before it may never have been delivered. */
  #sendGap({ reason = 'subscription', rooms: names, sinceMs }: Gap): void {
    const batch = gapBatch(reason, sinceMs, this.#options.runtime);
    const members = new Set<Member>();
    // Every connection is in the global room.
    for (const room of this.#existing(names ?? [GLOBAL_ROOM])) for (const member of room.members) members.add(member);
    for (const member of members) member.receive(batch);
    if (reason === 'subscription')
      for (const room of names ? this.#existing(names) : this.#rooms.values()) this.#loseAccepted(room);
  }

  #existing(names: Iterable<string>): readonly Room[] {
    return [...names].map((name) => this.#rooms.get(name)).filter((room) => room !== undefined);
  }

  #loseAccepted(room: Room): void {
    for (const trip of room.roundTrips()) if (trip.isAccepted) trip.lost('it may not have been delivered');
  }

  #logInvalid(room: string, reason: string): void {
    const passed = this.#throttle.pass(room);
    if (passed) this.#options.log.warn({ room, reason, ...passed }, 'invalid publication dropped');
  }
}

/** Bounded, because other services publish too, and one wrong clock must not spoil the metric's sum. */
function lagSeconds(lagMs: number): number {
  return Math.min(Math.max(lagMs / 1000, 0), MAX_LAG_S);
}
