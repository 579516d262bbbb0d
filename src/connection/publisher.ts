import { validate as isUuid } from 'uuid';
import { PublishError } from '../broker/broker.js';
import { destination } from '../dispatch/check.js';
import type { Publish } from '../handlers/effect.js';
import { heldBytesOf } from './held-bytes.js';
import type { PublishWindow } from './publish-window.js';
import type { ConnectionRooms } from './rooms.js';
import { reject, type Rejection } from '../handlers/rejection.js';
import type { ConnectionContext } from './context.js';
import { GLOBAL_ROOM, isWithin, restamped, timestamp, writeEnvelope } from '../protocol/protocol.js';
import { CONNECTION_BYTES, costOf, type Waiter } from '../hub/publish-budget.js';
import { isRoomName } from '../protocol/names.js';
import { RoundTrip } from '../hub/round-trip.js';

/** An envelope on its way to a room. */
interface PendingPublish {
  readonly room: string;
  readonly id: string;
  readonly envelope: string;
  /** The envelope's. */
  readonly timestamp: string;
  readonly ref: string | undefined;
  /** The bytes that it takes at the broker. */
  readonly cost: number;
}

/** Where the errors of publishes are sent. */
interface ErrorOutput {
  sendError(rejection: Rejection): void;
}

/**
 * Publishes the messages of a connection: at most a publish window of them is under way, and as many again wait, in order. A message
 * may cause several publishes, so the last one before the window closes may bring more than fits. The bytes under way are bounded
 * too, here for the connection and in `PublishBudget` for the pod.
 */
export class Publisher implements Waiter {
  readonly #context: ConnectionContext;
  readonly #publishWindow: PublishWindow;
  readonly #rooms: ConnectionRooms;
  readonly #errors: ErrorOutput;
  #underWay = 0;
  #underWayBytes = 0;
  #waiting: PendingPublish[] | undefined;

  constructor(context: ConnectionContext, publishWindow: PublishWindow, rooms: ConnectionRooms, errors: ErrorOutput) {
    this.#context = context;
    this.#publishWindow = publishWindow;
    this.#rooms = rooms;
    this.#errors = errors;
  }

  get nextCost(): number {
    return this.#waiting?.[0]?.cost ?? 0;
  }

  publish(effect: Publish): void {
    const pending = this.#prepare(effect);
    if ('kind' in pending) this.#errors.sendError({ ...pending, ref: effect.ref });
    else this.#begin(pending);
  }

  /** A publish has come back. */
  settled(cost: number, heldBytes: number): void {
    this.#underWay -= 1;
    this.#underWayBytes -= cost;
    this.#context.pod.held.add(-heldBytes);
    this.#sendWaiting();
    this.#publishWindow.settled();
  }

  /** A publish has failed. */
  failed(error: unknown, ref: string | undefined): void {
    // A broker promises no other error.
    if (!(error instanceof PublishError)) this.#context.pod.log.error({ err: error }, 'broker failed');
    this.#errors.sendError(asRejection(error, ref));
  }

  /** The pod has room for the next publish. */
  send(): void {
    const next = this.#waiting?.[0];
    if (next && this.#hasWindow(next)) {
      this.#waiting?.shift();
      this.#send(next);
    }
    this.#sendWaiting();
  }

  #prepare(effect: Publish): PendingPublish | Rejection {
    const { message, outside, ref } = effect;
    const room = outside === true ? elsewhere(message.room) : destination(message.room, this.#rooms.rooms);
    if (typeof room !== 'string') return room;
    const refused = this.#rooms.refusalToPublish(room);
    if (refused) return refused;
    const { maxPublicationBytes, runtime } = this.#context.pod;
    const id = message.id !== undefined && isUuid(message.id) ? message.id : runtime.newId();
    const stamp = timestamp(runtime.wallMs());
    const envelope = this.#envelopeOf(effect, room, id, stamp);
    if (!isWithin(maxPublicationBytes, envelope)) return reject('invalid_message', 'grows too large when written out');
    return { room, id, envelope, timestamp: stamp, ref, cost: costOf(envelope) };
  }

  #envelopeOf({ message, as }: Publish, room: string, id: string, stamp: string): string {
    return writeEnvelope({
      id,
      type: message.type,
      room: room === GLOBAL_ROOM ? undefined : room,
      from: as ?? this.#context.identity,
      // An envelope has every member, whatever the handler left out.
      data: message.data ?? {},
      timestamp: stamp,
    });
  }

  #begin(pending: PendingPublish): void {
    const { limits, held } = this.#context.pod;
    const waiting = this.#waiting?.length ?? 0;
    if (waiting >= limits.publishWindow) {
      this.#errors.sendError(reject('unavailable', 'too many publishes are under way', pending.ref));
      return;
    }
    this.#publishWindow.begun();
    held.add(heldBytesOf(pending.envelope));
    (this.#waiting ??= []).push(pending);
    this.#sendWaiting();
  }

  /** Sends as many as may go. If the pod's budget is used up, waits for its turn. */
  #sendWaiting(): void {
    const { budget } = this.#context.pod.hub;
    let next = this.#waiting?.[0];
    while (next && this.#hasWindow(next) && budget.admits(next.cost, this.#underWay === 0)) {
      this.#waiting?.shift();
      this.#send(next);
      next = this.#waiting?.[0];
    }
    if (next && this.#hasWindow(next)) budget.wait(this);
    this.#publishWindow.queue(next !== undefined);
  }

  #hasWindow({ cost }: PendingPublish): boolean {
    if (this.#underWay === 0) return true;
    return this.#underWay < this.#context.pod.limits.publishWindow && this.#underWayBytes + cost <= CONNECTION_BYTES;
  }

  /**
   * An envelope is stamped when it is sent: it may have waited for long, and the `since` of a gap reaches back only as far as a
   * publish can be under way. All timestamps have one length, so its size stays.
   */
  #send(pending: PendingPublish): void {
    const { hub, runtime } = this.#context.pod;
    const now = timestamp(runtime.wallMs());
    const envelope = now === pending.timestamp ? pending.envelope : restamped(pending.envelope, pending.timestamp, now);
    this.#underWay += 1;
    this.#underWayBytes += pending.cost;
    hub.publish(pending.room, envelope, new PublishUnderWay(this, pending));
  }
}

/**
 * A publish under way, which outlives its connection. Only its failure is reported to the sender: on success the message itself
 * returns from the broker, as it does to everybody else.
 */
class PublishUnderWay extends RoundTrip {
  readonly #publisher: Publisher;
  readonly #ref: string | undefined;
  readonly #heldBytes: number;

  constructor(publisher: Publisher, { id, envelope, ref, cost }: PendingPublish) {
    super(id, cost);
    this.#publisher = publisher;
    this.#ref = ref;
    this.#heldBytes = heldBytesOf(envelope);
  }

  protected override succeeded(): void {
    this.#publisher.settled(this.bytes, this.#heldBytes);
  }

  protected override failed(error: unknown): void {
    this.#publisher.failed(error, this.#ref);
    this.#publisher.settled(this.bytes, this.#heldBytes);
  }
}

function elsewhere(room: string | undefined): string | Rejection {
  return room !== undefined && isRoomName(room) ? room : reject('invalid_message', 'not a room name');
}

function asRejection(error: unknown, ref: string | undefined): Rejection {
  if (error instanceof PublishError) return reject(error.code, error.message, ref);
  return reject('unconfirmed', 'the broker failed', ref);
}
