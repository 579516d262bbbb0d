import { BehaviorSubject, Observable, defer, type Subscriber } from 'rxjs';
import type { Grant } from '../auth/grant.js';
import type { CurrentRooms } from '../dispatch/context.js';
import type { Cause } from '../handlers/effect.js';
import { reject, type Rejection } from '../handlers/rejection.js';
import type { MembershipChange } from '../hub/room.js';
import { isRoomName } from '../protocol/names.js';
import { GLOBAL_ROOM, MAX_ROOMS } from '../protocol/protocol.js';
import type { ConnectionContext } from './context.js';
import type { PublishWindow } from './publish-window.js';

/** The rooms that a connection is in, has asked for, or may use, and the changes that it wants of the hub. */
export class ConnectionRooms implements CurrentRooms {
  readonly #context: ConnectionContext;
  readonly #publishWindow: PublishWindow;
  #rooms: readonly string[];
  #rooms$: BehaviorSubject<readonly string[]> | undefined;
  /** Rooms that were asked for and are not confirmed yet, each with the message that asked. */
  #joining: Map<string, Cause> | undefined;
  #member: Subscriber<MembershipChange> | undefined;

  constructor(context: ConnectionContext, publishWindow: PublishWindow) {
    this.#context = context;
    this.#publishWindow = publishWindow;
    this.#rooms = context.rooms;
  }

  get rooms(): readonly string[] {
    return this.#rooms;
  }

  get rooms$(): Observable<readonly string[]> {
    return defer(() => (this.#rooms$ ??= new BehaviorSubject(this.#rooms)));
  }

  /** What the hub is to do, for one subscriber: first, to let the connection into the rooms that it came for. */
  get change$(): Observable<MembershipChange> {
    return new Observable((member) => {
      this.#member = member;
      member.next({ kind: 'join', rooms: [GLOBAL_ROOM, ...this.#rooms] });
    });
  }

  isIn(room: string): boolean {
    return this.#rooms.includes(room);
  }

  /** @returns why the connection may not join all of them; undefined where it may */
  refusalToJoin(rooms: readonly string[]): Rejection | undefined {
    if (!rooms.every(isRoomName)) return reject('invalid_message', 'not a room name');
    const refused = this.#refused((grant) => rooms.every((room) => grant.mayJoin(room)));
    if (refused) return refused;
    if (this.#publishWindow.draining) return reject('unavailable', 'the pod goes away');
    const { hub, held } = this.#context.pod;
    const more = rooms.filter((room) => this.#isNew(room));
    if (more.length > 0 && (held.isFull || !hub.hasPlaceFor(more))) return reject('unavailable', 'the pod has no room for more');
    return this.#rooms.length + (this.#joining?.size ?? 0) + more.length > MAX_ROOMS
      ? reject('forbidden', `a connection may be in ${MAX_ROOMS} rooms`)
      : undefined;
  }

  /** @returns why the connection may not publish to a room; undefined where it may */
  refusalToPublish(room: string): Rejection | undefined {
    return this.#refused((grant) => (room === GLOBAL_ROOM ? grant.mayPublishGlobally() : grant.mayPublish(room)));
  }

  /** Asks the hub for those that the connection neither is in nor has asked for. */
  join(rooms: readonly string[], cause: Cause): void {
    const more = rooms.filter((room) => this.#isNew(room));
    this.#joining ??= new Map();
    for (const room of more) this.#joining.set(room, cause);
    this.#publishWindow.joining(this.#joining.size);
    for (const room of more) this.#member?.next({ kind: 'join', rooms: [room] });
  }

  /** @returns why it leaves none of them */
  leave(rooms: readonly string[]): Rejection | undefined {
    if (rooms.some((room) => this.#isNew(room))) return reject('not_in_room', 'the connection is not in that room');
    for (const room of rooms) this.#member?.next({ kind: 'leave', rooms: [room] });
    return undefined;
  }

  /** The hub has answered for a room. @returns the message that asked for it; undefined where none did */
  forgetJoining(room: string): Cause | undefined {
    const cause = this.#joining?.get(room);
    if (this.#joining?.delete(room) === true) this.#publishWindow.joining(this.#joining.size);
    return cause;
  }

  /** The hub has let the connection into rooms. */
  joined(rooms: readonly string[]): void {
    this.#change(this.#rooms.concat(rooms));
  }

  /** The hub has taken the connection out of rooms. */
  left(rooms: readonly string[]): void {
    this.#change(this.#rooms.filter((room) => !rooms.includes(room)));
  }

  /** A grant may be an application's own code. If it throws, nothing is done, and the connection goes on. */
  #refused(isGranted: (grant: Grant) => boolean): Rejection | undefined {
    const { pod, id, access } = this.#context;
    if (access === undefined) return undefined;
    try {
      return isGranted(access.grant) ? undefined : reject('forbidden', 'the token does not grant this');
    } catch (error) {
      pod.log.error({ err: error, connection: id }, 'authorization failed');
      return reject('unavailable', 'it is not known whether this is granted');
    }
  }

  #change(rooms: readonly string[]): void {
    this.#rooms = rooms;
    this.#rooms$?.next(rooms);
  }

  #isNew(room: string): boolean {
    return !this.isIn(room) && this.#joining?.has(room) !== true;
  }
}
