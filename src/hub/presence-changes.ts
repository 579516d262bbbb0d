import type { MembershipEvent } from './hub.js';
import { Queue } from './queue.js';

type Status = MembershipEvent['kind'];

/** The presence of one connection in one room, from the moment it changes until the room knows it. */
export interface PresenceChange {
  readonly room: string;
  readonly clientId: string;
  readonly identity: string;
  /** The connection's present status in the room. */
  status: Status;
  /** The status that the room was told last; undefined where Redis did not confirm a publish. */
  known: Status | undefined;
  /** The status whose publish is under way. */
  sent: Status | undefined;
  /** A publish of it has failed. */
  hasFailed: boolean;
}

/**
 * The changes of presence that rooms have not been told yet: of each connection and room the latest only.
 *
 * A connection that has left a room before anybody was told that it came is forgotten, so no more is kept than one change for each
 * member and one for each former member that the room was told of. Publishes of one connection and room are never under way
 * together, so `online` and `offline` keep their order also where a connection to Redis is replaced in between. Every operation
 * takes constant time, however many changes there are.
 */
export class PresenceChanges {
  readonly #capacity: number;
  /** By connection. Most connections have one: a `Map` of their own would take more memory than all else of it. */
  readonly #changes = new Map<string, PresenceChange | Map<string, PresenceChange>>();
  /** Changes to be published. */
  readonly #waiting = new Queue<PresenceChange>();
  /** Changes whose publish failed, to be published once more when `retry` says so. */
  readonly #failed = new Queue<PresenceChange>();
  #size = 0;
  #retries = 0;

  /** @param capacity the most changes that are kept */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Changes that wait, that failed or that are under way. */
  get size(): number {
    return this.#size;
  }

  get failed(): number {
    return this.#failed.size;
  }

  /** Returns how many changes had to be given up for lack of space. */
  note(event: MembershipEvent): number {
    const { kind, room, clientId } = event;
    const change = this.#find(clientId, room);
    if (change === undefined) return this.#add(event);
    change.status = kind;
    if (change.sent === undefined && change.known === kind) this.#remove(change);
    return 0;
  }

  /** The room is too busy to be told. */
  forget({ room, clientId }: MembershipEvent): void {
    const change = this.#find(clientId, room);
    if (change !== undefined) this.#remove(change);
  }

  /** The next to be published, which is under way until `told` or `fail`. */
  take(): PresenceChange | undefined {
    const change = this.#waiting.take() ?? this.#takeFailed();
    if (change !== undefined) change.sent = change.status;
    return change;
  }

  /** Redis has accepted it, and it has come back where the pod hears the room. */
  told(change: PresenceChange): void {
    change.known = change.sent;
    this.#settle(change, this.#waiting);
  }

  /** @param certainly whether it was not published for certain */
  fail(change: PresenceChange, certainly: boolean): void {
    change.hasFailed = true;
    if (!certainly) change.known = undefined;
    this.#settle(change, this.#failed);
  }

  /** Lets some of those that have failed be taken once more. */
  retry(count: number): void {
    this.#retries = Math.min(count, this.#failed.size);
  }

  /** Gives up what has failed; returns how many that were. */
  giveUpFailed(): number {
    let count = 0;
    for (let change = this.#failed.take(); change !== undefined; change = this.#failed.take()) {
      this.#remove(change);
      count += 1;
    }
    return count;
  }

  #find(clientId: string, room: string): PresenceChange | undefined {
    const own = this.#changes.get(clientId);
    if (own instanceof Map) return own.get(room);
    return own?.room === room ? own : undefined;
  }

  #add({ kind: status, room, clientId, identity }: MembershipEvent): number {
    const isFull = this.#size >= this.#capacity;
    if (isFull) {
      // The change that failed longest ago gives way, so that rooms which Redis refuses for good do not take all the space.
      const oldest = this.#failed.take();
      if (oldest === undefined) return 1;
      this.#remove(oldest);
    }
    const known = status === 'online' ? 'offline' : 'online';
    const change: PresenceChange = { room, clientId, identity, status, known, sent: undefined, hasFailed: false };
    const own = this.#changes.get(clientId);
    if (own === undefined) this.#changes.set(clientId, change);
    else if (own instanceof Map) own.set(room, change);
    else this.#changes.set(clientId, new Map([own, change].map((each) => [each.room, each])));
    this.#size += 1;
    this.#waiting.add(change);
    return isFull ? 1 : 0;
  }

  #remove(change: PresenceChange): void {
    const { clientId, room } = change;
    const own = this.#changes.get(clientId);
    if (own instanceof Map) own.delete(room);
    if (own === change || (own instanceof Map && own.size === 0)) this.#changes.delete(clientId);
    this.#size -= 1;
    if (!this.#waiting.delete(change)) this.#failed.delete(change);
  }

  /** @param line where it stands next, if the room does not know its status */
  #settle(change: PresenceChange, line: Queue<PresenceChange>): void {
    // It was forgotten while it was under way.
    if (this.#find(change.clientId, change.room) !== change) return;
    change.sent = undefined;
    if (change.known === change.status) this.#remove(change);
    else line.add(change);
  }

  #takeFailed(): PresenceChange | undefined {
    if (this.#retries === 0) return undefined;
    this.#retries -= 1;
    return this.#failed.take();
  }
}
