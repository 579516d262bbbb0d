import { Observable, Subject, Subscription, combineLatest, filter, take, type Subscriber } from 'rxjs';
import type { Broker, BrokerEvent, Gap } from './broker.js';
import { mergeBatches, publicationBatch, type Batch } from './frame.js';
import type { Logger } from './log.js';
import type { Metrics } from './metrics.js';
import { gatherTurn } from './operators/gatherTurn.js';
import { GLOBAL_ROOM } from './protocol.js';
import { checkPublication, type Publication } from './publication.js';
import { Room, type Member } from './room.js';
import { gapBatch } from './server-message.js';
import type { World } from './world.js';

/** A connection wants to be in rooms, or out of them. */
export interface MembershipChange {
  readonly kind: 'join' | 'leave';
  readonly rooms: readonly string[];
}

/** What a member receives: word that it is in rooms (all of them at once, when the last is confirmed) or out of them, and what is said there. */
export type MemberEvent = { readonly kind: 'joined' | 'left'; readonly rooms: readonly string[] } | Batch;

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
  #complaints = new Set<string>();
  #complaintsSinceMs = -Infinity;

  constructor(options: HubOptions) {
    this.#options = options;
    const { broker, world } = options;
    this.#connection.add(
      broker.events$.pipe(gatherTurn(world.turnEnd$, ({ kind }) => kind === 'gap')).subscribe((turn) => {
        this.#fanOut(turn);
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
    return new Observable((subscriber) => {
      const member = createMember(clientId, subscriber);
      subscriber.add(
        change$.subscribe((change) => {
          if (change.kind === 'join') subscriber.add(this.#join(member, change.rooms, subscriber));
          else this.#leave(member, change.rooms, subscriber);
        }),
      );
      subscriber.add(() => {
        for (const room of member.rooms) this.#exit(member, room);
      });
    });
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

  #join(member: Member, names: readonly string[], subscriber: Subscriber<MemberEvent>): Subscription {
    const rooms = names.map((name) => this.#room(name));
    for (const room of rooms) room.acquire();
    const joining = new Subscription(() => {
      for (const room of rooms) room.release();
    });
    const confirmed$ = combineLatest(rooms.map((room) => room.confirmed$)).pipe(
      filter((confirmed) => confirmed.every(Boolean)),
      take(1),
    );
    joining.add(
      confirmed$.subscribe(() => {
        const entered = rooms.filter((room) => this.#enter(member, room));
        subscriber.next({ kind: 'joined', rooms: names });
        for (const room of entered) this.#tell('online', member, room, room.members.size);
        joining.unsubscribe();
      }),
    );
    return joining;
  }

  #leave(member: Member, names: readonly string[], subscriber: Subscriber<MemberEvent>): void {
    for (const room of member.rooms) if (names.includes(room.name)) this.#exit(member, room);
    subscriber.next({ kind: 'left', rooms: names });
  }

  #enter(member: Member, room: Room): boolean {
    if (member.rooms.has(room)) return false;
    if (room.members.size === 0) this.#countRoom(room, 1);
    room.acquire();
    room.members.add(member);
    member.rooms.add(room);
    return true;
  }

  #exit(member: Member, room: Room): void {
    const members = room.members.size;
    room.members.delete(member);
    member.rooms.delete(room);
    if (room.members.size === 0) this.#countRoom(room, -1);
    this.#tell('offline', member, room, members);
    room.release();
  }

  #tell(kind: 'online' | 'offline', { clientId }: Member, { name }: Room, members: number): void {
    if (name !== GLOBAL_ROOM) this.membership$.next({ kind, room: name, clientId, members });
  }

  #countRoom({ name }: Room, change: 1 | -1): void {
    if (name !== GLOBAL_ROOM) this.#options.metrics.rooms(change);
  }

  /** What was published before a gap reaches its members before the gap does, and what came after it, after. */
  #fanOut(turn: readonly BrokerEvent[]): void {
    let spoke: Room[] = [];
    for (const event of turn) {
      if (event.kind === 'gap') {
        deliver(spoke);
        spoke = [];
        this.#tellGap(event);
        continue;
      }
      const room = this.#receive(event);
      if (room?.arrived.length === 1) spoke.push(room);
    }
    deliver(spoke);
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
    metrics.deliveryLag((world.scheduler.now() - check.publishedAtMs) / 1000);
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
    if (nowMs - this.#complaintsSinceMs >= COMPLAINT_INTERVAL_MS) {
      this.#complaints = new Set();
      this.#complaintsSinceMs = nowMs;
    }
    if (this.#complaints.has(room)) return;
    this.#complaints.add(room);
    this.#options.log.warn({ room, reason }, 'invalid publication dropped');
  }
}

function createMember(clientId: string, subscriber: Subscriber<MemberEvent>): Member {
  return {
    clientId,
    rooms: new Set(),
    pending: undefined,
    receive: (batch) => {
      subscriber.next(batch);
    },
  };
}

/** One batch to each member, whichever of the rooms it is in. */
function deliver(rooms: readonly Room[]): void {
  const [only] = rooms;
  if (rooms.length === 1 && only) {
    const batch = takeBatch(only);
    for (const member of only.members) member.receive(batch);
    return;
  }
  const touched: Member[] = [];
  for (const room of rooms) {
    const batch = takeBatch(room);
    for (const member of room.members) {
      if (member.pending === undefined) touched.push(member);
      member.pending = member.pending === undefined ? batch : mergeBatches(member.pending, batch);
    }
  }
  for (const member of touched) {
    const { pending } = member;
    member.pending = undefined;
    if (pending) member.receive(pending);
  }
}

function takeBatch(room: Room): Batch {
  const batch = publicationBatch(room.arrived, room.arrivedSinceMs);
  room.arrived = [];
  room.arrivedSinceMs = Infinity;
  return batch;
}
