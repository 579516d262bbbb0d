import type { Subscriber } from 'rxjs';
import { validate } from 'uuid';
import { PublishError } from '../broker/broker.js';
import { destination } from '../handling/destination.js';
import type { Publish } from '../handling/effect.js';
import { refusedToPublish } from './grants.js';
import { heldBytesOf } from './held-bytes.js';
import type { Intake } from './intake.js';
import type { Membership } from './membership.js';
import { reject, type Rejection } from '../handling/message.js';
import type { ConnectionContext } from '../pod.js';
import { GLOBAL_ROOM, isWithin, restamped, timestamp, writeEnvelope } from '../protocol.js';
import { CONNECTION_BYTES, costOf, type Waiter } from '../hub/publish-budget.js';
import { isRoomName } from '../hub/room-name.js';
import { RoundTrip } from '../hub/round-trip.js';
import { errorBatch } from '../hub/server-message.js';
import type { Outbound } from './transport.js';

/** An envelope on its way to a room. */
interface Letter {
  readonly room: string;
  readonly id: string;
  readonly envelope: string;
  /** The envelope's. */
  readonly timestamp: string;
  readonly ref: string | undefined;
  /** The bytes that it takes at the broker. */
  readonly cost: number;
}

/**
 * What a connection publishes: at most a publish window of it under way, and as much again that waits, in order. One message may
 * lead to several publishes, so the last before the window closes may bring more than fits. The bytes under way are bounded too,
 * here for the connection and in `PublishBudget` for the pod.
 */
export class Outbox implements Waiter {
  readonly #output: Subscriber<Outbound>;
  readonly #context: ConnectionContext;
  readonly #intake: Intake;
  readonly #membership: Pick<Membership, 'rooms'>;
  #underWay = 0;
  #underWayBytes = 0;
  #waiting: Letter[] | undefined;

  constructor(output: Subscriber<Outbound>, context: ConnectionContext, intake: Intake, membership: Pick<Membership, 'rooms'>) {
    this.#output = output;
    this.#context = context;
    this.#intake = intake;
    this.#membership = membership;
  }

  get nextCost(): number {
    return this.#waiting?.[0]?.cost ?? 0;
  }

  publish(effect: Publish): void {
    const letter = this.#letterOf(effect);
    if ('kind' in letter) this.complain({ ...letter, ref: effect.ref });
    else this.#post(letter);
  }

  /** To the offender alone, and only while it is there. */
  complain(rejection: Rejection): void {
    if (this.#output.closed) return;
    const { metrics, world } = this.#context.pod;
    metrics.errorSent(rejection.code);
    this.#output.next(errorBatch(rejection, world));
  }

  /** A publish has come back. */
  settled(cost: number, heldBytes: number): void {
    this.#underWay -= 1;
    this.#underWayBytes -= cost;
    this.#context.pod.held.add(-heldBytes);
    this.#sendWaiting();
    this.#intake.settled();
  }

  /** A publish has failed. */
  failed(error: unknown, ref: string | undefined): void {
    // A broker promises no other error; where one breaks its promise, somebody has to know.
    if (!(error instanceof PublishError)) this.#context.pod.log.error({ err: error }, 'broker failed');
    this.complain(asRejection(error, ref));
  }

  /** The pod has room for the next publish. */
  send(): void {
    const next = this.#waiting?.[0];
    if (next && this.#hasWindow(next)) {
      this.#waiting?.shift();
      this.#send(this.#stampedNow(next));
    }
    this.#sendWaiting();
  }

  #letterOf(effect: Publish): Letter | Rejection {
    const { message, outside, ref } = effect;
    const room = outside === true ? elsewhere(message.room) : destination(message.room, this.#membership.rooms);
    if (typeof room !== 'string') return room;
    const refused = refusedToPublish(room, this.#context);
    if (refused) return refused;
    const { maxPublicationBytes, world } = this.#context.pod;
    const id = isUuid(message.id) ? message.id : world.newId();
    const stamp = timestamp(world.wallMs());
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

  /**
   * The same with the time at which it is sent: it may have waited for long, and the `since` of a gap reaches back as far as a
   * publish can be under way. All times are of one length, so its size stays.
   */
  #stampedNow(letter: Letter): Letter {
    const now = timestamp(this.#context.pod.world.wallMs());
    if (now === letter.timestamp) return letter;
    return { ...letter, envelope: restamped(letter.envelope, letter.timestamp, now), timestamp: now };
  }

  #post(letter: Letter): void {
    const { limits, held } = this.#context.pod;
    const waiting = this.#waiting?.length ?? 0;
    if (waiting >= limits.publishWindow) {
      this.complain(reject('unavailable', 'too many publishes are under way', letter.ref));
      return;
    }
    this.#intake.begun();
    held.add(heldBytesOf(letter.envelope));
    if (waiting === 0 && this.#hasWindow(letter) && this.#isAdmitted(letter)) {
      this.#send(letter);
    } else {
      (this.#waiting ??= []).push(letter);
      this.#sendWaiting();
    }
  }

  /** As many as may go; whoever waits for the pod waits for its turn. */
  #sendWaiting(): void {
    let next = this.#waiting?.[0];
    while (next && this.#hasWindow(next) && this.#isAdmitted(next)) {
      this.#waiting?.shift();
      this.#send(this.#stampedNow(next));
      next = this.#waiting?.[0];
    }
    if (next && this.#hasWindow(next)) this.#context.pod.hub.budget.wait(this);
    this.#intake.queue(next !== undefined);
  }

  #hasWindow({ cost }: Letter): boolean {
    if (this.#underWay === 0) return true;
    return this.#underWay < this.#context.pod.limits.publishWindow && this.#underWayBytes + cost <= CONNECTION_BYTES;
  }

  #isAdmitted({ cost }: Letter): boolean {
    return this.#context.pod.hub.budget.admits(cost, this.#underWay === 0);
  }

  #send(letter: Letter): void {
    const { room, envelope, cost } = letter;
    this.#underWay += 1;
    this.#underWayBytes += cost;
    this.#context.pod.hub.publish(room, envelope, new Publishing(this, letter));
  }
}

/**
 * A publish under way. Nothing comes of it but an error: what is published returns from the broker, as it does to everybody else.
 * It was said, so it outlives its connection.
 */
class Publishing extends RoundTrip {
  readonly #outbox: Outbox;
  readonly #ref: string | undefined;
  readonly #heldBytes: number;

  constructor(outbox: Outbox, { id, envelope, ref, cost }: Letter) {
    super(id, cost);
    this.#outbox = outbox;
    this.#ref = ref;
    this.#heldBytes = heldBytesOf(envelope);
  }

  protected override succeeded(): void {
    this.#outbox.settled(this.bytes, this.#heldBytes);
  }

  protected override failed(error: unknown): void {
    this.#outbox.failed(error, this.#ref);
    this.#outbox.settled(this.bytes, this.#heldBytes);
  }
}

function elsewhere(room: string | undefined): string | Rejection {
  return room !== undefined && isRoomName(room) ? room : reject('invalid_message', 'not a room name');
}

function isUuid(id: string | undefined): id is string {
  return id !== undefined && validate(id);
}

function asRejection(error: unknown, ref: string | undefined): Rejection {
  if (error instanceof PublishError) return reject(error.code, error.message, ref);
  return reject('unconfirmed', 'the broker failed', ref);
}
