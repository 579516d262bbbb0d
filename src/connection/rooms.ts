import { BehaviorSubject, Observable, defer, type MonoTypeOperatorFunction, type Subscriber } from 'rxjs';
import { OutboundTransforms } from './transform.js';
import type { Batch } from '../hub/frame.js';
import { refusedToJoin } from './grants.js';
import type { PublishWindow } from './publish-window.js';
import type { MemberEvent, MembershipChange } from '../hub/room.js';
import { reject, type Rejection } from '../handlers/rejection.js';
import { OperatorSubscriber } from '../operators/operator-subscriber.js';
import type { ConnectionContext } from './context.js';
import { CloseCode, GLOBAL_ROOM, MAX_ROOMS, type Envelope } from '../protocol/protocol.js';
import { isRoomName } from '../protocol/names.js';
import { errorBatch, systemBatch } from '../hub/server-message.js';
import { closeSocket, type Outbound } from './transport.js';

/**
 * A connection's side of its rooms: which it is in, what it wants of the hub, and what it hears from there.
 *
 * `welcome` comes first, when the rooms that the connection came for are confirmed; only then is what the client said handled.
 */
export class ConnectionRooms extends OperatorSubscriber<MemberEvent, Outbound> {
  /** What the hub is to do; for one subscriber, the connection's member. */
  readonly change$ = new Observable<MembershipChange>((member) => {
    this.#member = member;
    member.next({ kind: 'join', rooms: [GLOBAL_ROOM, ...this.#rooms] });
  });
  readonly #context: ConnectionContext;
  readonly #intake: PublishWindow;
  #rooms: readonly string[];
  #rooms$: BehaviorSubject<readonly string[]> | undefined;
  /** Rooms that were asked for and are not confirmed yet, each with the id of the message that asked. */
  #joining: Map<string, string | undefined> | undefined;
  #member: Subscriber<MembershipChange> | undefined;
  /** Made for those who do not hear what everybody hears. */
  #ear: OutboundTransforms | undefined;

  constructor(output: Subscriber<Outbound>, context: ConnectionContext, intake: PublishWindow) {
    super(output);
    this.#context = context;
    this.#intake = intake;
    this.#rooms = context.rooms;
  }

  /** Those of the present, in the order in which it came into them. */
  get rooms(): readonly string[] {
    return this.#rooms;
  }

  /** Those of the present, then of each change. */
  get rooms$(): Observable<readonly string[]> {
    return defer(() => (this.#rooms$ ??= new BehaviorSubject(this.#rooms)));
  }

  /**
   * @param ref the id of the message that asked, for an error later
   * @returns why it joins none of them
   */
  join(names: readonly string[], ref?: string): Rejection | undefined {
    const rooms = [...new Set(names)];
    const more = rooms.filter((room) => !this.#isIn(room) && !this.#joining?.has(room));
    const problem = this.#refusal(rooms, more);
    if (problem) return problem;
    for (const room of rooms) if (this.#isIn(room)) this.#tell('joined', room);
    this.#joining ??= new Map();
    for (const room of more) this.#joining.set(room, ref);
    this.#intake.joining(this.#joining.size);
    for (const room of more) this.#member?.next({ kind: 'join', rooms: [room] });
    return undefined;
  }

  /** @returns why it leaves none of them */
  leave(names: readonly string[]): Rejection | undefined {
    const rooms = [...new Set(names)];
    const isThere = (room: string) => this.#isIn(room) || this.#joining?.has(room) === true;
    if (!rooms.every(isThere)) return reject('not_in_room', 'the connection is not in that room');
    for (const room of rooms) this.#member?.next({ kind: 'leave', rooms: [room] });
    return undefined;
  }

  /** From now on, what is said reaches it through the operator; `by` has one. */
  transform(by: string, operator: MonoTypeOperatorFunction<Envelope> | undefined): void {
    if (operator === undefined && this.#ear === undefined) return;
    this.#ear ??= new OutboundTransforms(this.output, this.#context);
    this.#ear.hear(by, operator);
    if (this.#ear.isPlain) this.#ear = undefined;
  }

  protected override take(event: MemberEvent): void {
    switch (event.kind) {
      case 'batch':
        this.#receive(event);
        break;
      case 'joined':
        if (this.#intake.welcomed) this.#joined(event.rooms);
        else this.#welcome();
        break;
      case 'left':
        this.#left(event.rooms);
        break;
      case 'refused':
        this.#refused(event.rooms);
    }
  }

  /** The server's own word, which bears no time of publication, is nobody's to change. */
  #receive(batch: Batch): void {
    if (this.#ear === undefined || batch.publishedAtMs === undefined) this.output.next(batch);
    else this.#ear.receive(batch, batch.publishedAtMs);
  }

  #welcome(): void {
    const { pod, id, rooms } = this.#context;
    const { pingIntervalMs, maxMessageBytes } = pod.limits;
    this.output.next(systemBatch('welcome', { clientId: id, rooms, pingIntervalMs, maxMessageBytes }, pod.runtime));
    this.#intake.welcome();
  }

  #joined(rooms: readonly string[]): void {
    for (const room of rooms) this.#forgetJoining(room);
    for (const room of rooms) this.#tell('joined', room);
    this.#change(this.#rooms.concat(rooms));
  }

  #left(rooms: readonly string[]): void {
    for (const room of rooms) this.#forgetJoining(room);
    for (const room of rooms) this.#tell('left', room);
    this.#change(this.#rooms.filter((room) => !rooms.includes(room)));
  }

  /** The broker will not give it these rooms. A join gets an error; a connection that came for them, or was in them, is closed. */
  #refused(rooms: readonly string[]): void {
    const { metrics, runtime } = this.#context.pod;
    for (const room of rooms) {
      if (this.#joining?.has(room) !== true) {
        this.output.next(closeSocket(CloseCode.policyViolation, 'the broker refuses a room of this connection'));
        return;
      }
      const ref = this.#joining.get(room);
      this.#forgetJoining(room);
      metrics.errorSent('forbidden');
      this.output.next(errorBatch({ code: 'forbidden', reason: 'the broker refuses this room', ref }, runtime));
    }
  }

  #forgetJoining(room: string): void {
    if (this.#joining?.delete(room) === true) this.#intake.joining(this.#joining.size);
  }

  /** After the client was told: who watches the rooms may join or leave at once, which is told then. */
  #change(rooms: readonly string[]): void {
    this.#rooms = rooms;
    this.#rooms$?.next(rooms);
  }

  #tell(event: 'joined' | 'left', room: string): void {
    this.output.next(systemBatch(event, { room }, this.#context.pod.runtime));
  }

  #isIn(room: string): boolean {
    return this.#rooms.includes(room);
  }

  #refusal(rooms: readonly string[], more: readonly string[]): Rejection | undefined {
    if (!rooms.every(isRoomName)) return reject('invalid_message', 'not a room name');
    const refused = refusedToJoin(rooms, this.#context);
    if (refused) return refused;
    if (this.#intake.draining) return reject('unavailable', 'the pod goes away');
    const joining = this.#joining?.size ?? 0;
    const { hub, held } = this.#context.pod;
    if (more.length > 0 && (held.isFull || !hub.hasPlaceFor(more))) return reject('unavailable', 'the pod has no room for more');
    if (this.#rooms.length + joining + more.length > MAX_ROOMS)
      return reject('forbidden', `a connection may be in ${MAX_ROOMS} rooms`);
    return undefined;
  }
}
