import type { MembershipEvent } from './hub.js';
import { Queue } from './queue.js';

type Status = MembershipEvent['kind'];

/** The presence of one connection in one room, from its change until it is published. */
export interface PresenceChange {
  readonly room: string;
  readonly clientId: string;
  readonly identity: string;
  /** The connection's current status in the room. */
  status: Status;
  /** The status that was published last; undefined if it is uncertain whether a publish succeeded. */
  known: Status | undefined;
  /** The status whose publish is under way. */
  sent: Status | undefined;
  /** Whether a publish of it has failed. */
  hasFailed: boolean;
}

/**
 * The presence changes that are not published yet: only the latest of each connection and room.
 *
 * If a connection leaves a room before its `online` was published, the change is removed. So there is at most one change for each member,
 * and one for each former member whose `online` was published. At most one publish per connection and room is under way, so that `online`
 * and `offline` keep their order even if the connection to Redis is replaced in between. Every operation takes constant time.
 */
export class PresenceChanges {
  readonly #capacity: number;
  /** By connection. Most have a single change, which is stored without a `Map` to save memory. */
  readonly #changes = new Map<string, PresenceChange | Map<string, PresenceChange>>();
  /** Changes to be published. */
  readonly #waiting = new Queue<PresenceChange>();
  /** Changes whose publish failed. `retry` makes `take` return them again. */
  readonly #failed = new Queue<PresenceChange>();
  #size = 0;
  #retries = 0;

  /** @param capacity the most changes that are kept; beyond it, changes are discarded */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The number of changes that wait, have failed or are under way. */
  get size(): number {
    return this.#size;
  }

  get failed(): number {
    return this.#failed.size;
  }

  /** @returns how many changes were discarded for lack of space: 0 or 1 */
  add(event: MembershipEvent): number {
    const { kind, room, clientId } = event;
    const change = this.#find(clientId, room);
    if (change === undefined) return this.#create(event);
    change.status = kind;
    if (change.sent === undefined && change.known === kind) this.#remove(change);
    return 0;
  }

  /** Removes the change of a room in which presence is no longer published. */
  forget({ room, clientId }: MembershipEvent): void {
    const change = this.#find(clientId, room);
    if (change !== undefined) this.#remove(change);
  }

  /** The next change to publish. It is under way until `published` or `fail` is called. */
  take(): PresenceChange | undefined {
    const change = this.#waiting.take() ?? this.#takeFailed();
    if (change !== undefined) change.sent = change.status;
    return change;
  }

  /** The publish succeeded. */
  published(change: PresenceChange): void {
    change.known = change.sent;
    this.#settle(change, this.#waiting);
  }

  /** The publish failed. @param certainly whether it is certain that nothing was published */
  fail(change: PresenceChange, certainly: boolean): void {
    change.hasFailed = true;
    if (!certainly) change.known = undefined;
    this.#settle(change, this.#failed);
  }

  /** Lets `take` return up to `count` failed changes. */
  retry(count: number): void {
    this.#retries = Math.min(count, this.#failed.size);
  }

  /** Discards the failed changes. @returns how many there were */
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

  #create({ kind: status, room, clientId, identity }: MembershipEvent): number {
    const isFull = this.#size >= this.#capacity;
    if (isFull) {
      // Discard the oldest failed change, so that rooms which Redis refuses permanently do not take all the space.
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

  /** @param queue where the change goes if its current status is not published */
  #settle(change: PresenceChange, queue: Queue<PresenceChange>): void {
    // It was removed while it was under way.
    if (this.#find(change.clientId, change.room) !== change) return;
    change.sent = undefined;
    if (change.known === change.status) this.#remove(change);
    else queue.add(change);
  }

  #takeFailed(): PresenceChange | undefined {
    if (this.#retries === 0) return undefined;
    this.#retries -= 1;
    return this.#failed.take();
  }
}
