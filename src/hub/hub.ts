import { Observable, Subject, Subscription, combineLatest, filter, take } from 'rxjs';
import type { Broker, BrokerEvent, Gap } from '../broker/broker.js';
import { fanOut } from './fan-out.js';
import type { Logger } from '../log.js';
import { Member, type MemberEvent, type MemberHost, type MembershipChange } from './member.js';
import type { Metrics } from '../metrics.js';
import { gatherTurn } from '../operators/gatherTurn.js';
import { GLOBAL_ROOM } from '../protocol.js';
import { checkPublication, type Publication } from './publication.js';
import { Room } from './room.js';
import { gapBatch } from './server-message.js';
import type { World } from '../world.js';

/** A connection came into a room or went out of it. */
export interface MembershipEvent {
  readonly kind: 'online' | 'offline';
  readonly room: string;
  readonly clientId: string;
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
}

/** A lag beyond this is a publisher's wrong clock. */
const MAX_LAG_S = 3600;

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
  readonly #rooms = new Map<string, Room>();
  readonly #connection = new Subscription();
  /** When each room's invalid publications were last complained of, the longest ago first. */
  readonly #complaintsMs = new Map<string, number>();
  readonly #host: MemberHost = {
    change: (member, { kind, rooms }) => {
      if (kind === 'join') this.#join(member, rooms);
      else this.#leave(member, rooms);
    },
    leaveAll: (member) => {
      for (const room of member.rooms) this.#exit(member, room);
    },
  };

  constructor(options: HubOptions) {
    this.#options = options;
    const { broker, world } = options;
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
   */
  member$(clientId: string, change$: Observable<MembershipChange>): Observable<MemberEvent> {
    return new Observable((subscriber) => change$.subscribe(new Member(subscriber, clientId, this.#host)));
  }

  /** Members of a room on this pod. */
  memberCount(room: string): number {
    return this.#rooms.get(room)?.members.size ?? 0;
  }

  /** Leaves the broker. */
  close(): void {
    for (const room of this.#rooms.values()) room.end();
    this.#connection.unsubscribe();
    this.membership$.complete();
  }

  #room(name: string): Room {
    const existing = this.#rooms.get(name);
    if (existing) return existing;
    const { broker, world, lingerMs } = this.#options;
    const room = new Room({
      name,
      subscribed$: broker.subscribe(name),
      lingerMs,
      scheduler: world.scheduler,
      onGone: () => this.#rooms.delete(name),
    });
    this.#rooms.set(name, room);
    return room;
  }

  #join(member: Member, names: readonly string[]): void {
    const rooms = names.map((name) => this.#room(name));
    this.#ask(member, rooms);
    if (rooms.every((room) => room.isConfirmed)) {
      this.#enter(member, rooms);
      return;
    }
    const confirmed$ = combineLatest(rooms.map((room) => room.confirmed$)).pipe(
      filter((confirmed) => confirmed.every(Boolean)),
      take(1),
    );
    const subscription = confirmed$.subscribe(() => {
      member.waits = member.waits.filter((wait) => wait.subscription !== subscription);
      this.#enter(member, rooms);
    });
    member.waits = [...member.waits, { rooms, subscription }];
    member.add(subscription);
  }

  #ask(member: Member, rooms: readonly Room[]): void {
    const more = rooms.filter((room) => !member.rooms.includes(room));
    member.rooms = member.rooms.concat(more);
    for (const room of more) room.acquire();
  }

  #enter(member: Member, rooms: readonly Room[]): void {
    // It may have left some of them before they were confirmed.
    const present = rooms.filter((room) => member.rooms.includes(room));
    const entered = present.filter((room) => !room.members.has(member));
    for (const room of entered) {
      if (room.members.size === 0) this.#countRoom(room, 1);
      room.members.add(member);
    }
    // Told first, so that what the member says as soon as it is in comes after its presence.
    for (const room of entered) this.#tell('online', member, room, room.members.size);
    if (present.length > 0) member.receive({ kind: 'joined', rooms: present.map(({ name }) => name) });
  }

  #leave(member: Member, names: readonly string[]): void {
    for (const room of member.rooms) if (names.includes(room.name)) this.#exit(member, room);
    this.#forget(member);
    member.receive({ kind: 'left', rooms: names });
  }

  /** Who wants none of the rooms any more no longer waits for them. */
  #forget(member: Member): void {
    for (const { rooms, subscription } of member.waits) {
      if (!rooms.some((room) => member.rooms.includes(room))) subscription.unsubscribe();
    }
    member.waits = member.waits.filter(({ subscription }) => !subscription.closed);
  }

  #exit(member: Member, room: Room): void {
    const members = room.members.size;
    member.rooms = member.rooms.filter((other) => other !== room);
    if (room.members.delete(member)) {
      if (room.members.size === 0) this.#countRoom(room, -1);
      this.#tell('offline', member, room, members);
    }
    room.release();
  }

  #tell(kind: 'online' | 'offline', { clientId }: Member, { name }: Room, members: number): void {
    if (name !== GLOBAL_ROOM) this.membership$.next({ kind, room: name, clientId, members });
  }

  #countRoom({ name }: Room, change: 1 | -1): void {
    if (name !== GLOBAL_ROOM) this.#options.metrics.rooms(change);
  }

  /** What was published before a gap reaches its members before the gap does, and what came after it, after. */
  #receiveTurn(turn: readonly BrokerEvent[]): void {
    let spoke: Room[] = [];
    for (const event of turn) {
      if (event.kind === 'gap') {
        fanOut(spoke);
        spoke = [];
        this.#tellGap(event);
        continue;
      }
      const room = this.#receive(event);
      if (room?.arrived.length === 1) spoke.push(room);
    }
    fanOut(spoke);
  }

  #receive(publication: Publication): Room | undefined {
    const { maxPublicationBytes, metrics, world } = this.#options;
    const check = checkPublication(publication, maxPublicationBytes);
    if (!check.ok) {
      metrics.brokerInvalid();
      this.#complain(publication.room, check.reason);
      return undefined;
    }
    const room = this.#rooms.get(publication.room);
    if (room === undefined || room.members.size === 0) return undefined;
    metrics.deliveryLag(lagSeconds(world.wallMs() - check.publishedAtMs));
    room.arrived.push(publication);
    room.arrivedSinceMs = Math.min(room.arrivedSinceMs, check.publishedAtMs);
    return room;
  }

  /** Once to each connection, however many of its rooms have it. */
  #tellGap({ rooms, sinceMs }: Gap): void {
    const batch = gapBatch('subscription', sinceMs, this.#options.world);
    const told = new Set<Member>();
    for (const name of rooms ?? [GLOBAL_ROOM]) for (const member of this.#rooms.get(name)?.members ?? []) told.add(member);
    for (const member of told) member.receive(batch);
  }

  #complain(room: string, reason: string): void {
    const nowMs = this.#options.world.scheduler.now();
    for (const [silent, sinceMs] of this.#complaintsMs) {
      if (nowMs - sinceMs < COMPLAINT_INTERVAL_MS) break;
      this.#complaintsMs.delete(silent);
    }
    if (this.#complaintsMs.has(room)) return;
    this.#complaintsMs.set(room, nowMs);
    this.#options.log.warn({ room, reason }, 'invalid publication dropped');
  }
}

/** Any service may publish, with whatever clock: one wrong timestamp must not spoil the sum of all. */
function lagSeconds(lagMs: number): number {
  return Math.min(Math.max(lagMs / 1000, 0), MAX_LAG_S);
}
