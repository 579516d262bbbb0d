import type { Subscriber } from 'rxjs';
import { validate } from 'uuid';
import { PublishError } from '../broker/broker.js';
import { destination } from '../handling/destination.js';
import type { Publish } from '../handling/effect.js';
import { refusedToPublish } from './grants.js';
import type { Intake } from './intake.js';
import type { Membership } from './membership.js';
import { reject, type Rejection } from '../handling/message.js';
import { Sink } from '../operators/stage.js';
import type { ConnectionContext } from '../pod.js';
import { GLOBAL_ROOM, isWithin, timestamp, writeEnvelope } from '../protocol.js';
import { isRoomName } from '../hub/room-name.js';
import { errorBatch } from '../hub/server-message.js';
import type { Outbound } from './transport.js';

/** An envelope on its way to a room. */
interface Letter {
  readonly room: string;
  readonly envelope: string;
  readonly ref: string | undefined;
}

/**
 * What a connection publishes: at most a publish window of it under way at the broker, and as much again that waits, in order.
 * One message may lead to several publishes, so the last before the window closes may bring more than fits.
 */
export class Outbox {
  readonly #output: Subscriber<Outbound>;
  readonly #context: ConnectionContext;
  readonly #intake: Intake;
  readonly #membership: Pick<Membership, 'rooms'>;
  #underWay = 0;
  #waiting: Letter[] | undefined;

  constructor(output: Subscriber<Outbound>, context: ConnectionContext, intake: Intake, membership: Pick<Membership, 'rooms'>) {
    this.#output = output;
    this.#context = context;
    this.#intake = intake;
    this.#membership = membership;
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

  /** A publish has been confirmed, or has failed. */
  settled(): void {
    this.#underWay -= 1;
    const next = this.#waiting?.shift();
    if (next) this.#send(next);
    this.#intake.confirmed();
  }

  #letterOf(effect: Publish): Letter | Rejection {
    const { message, outside, ref } = effect;
    const room = outside === true ? elsewhere(message.room) : destination(message.room, this.#membership.rooms);
    if (typeof room !== 'string') return room;
    const refused = refusedToPublish(room, this.#context);
    if (refused) return refused;
    const { maxPublicationBytes } = this.#context.pod;
    const envelope = this.#envelopeOf(effect, room);
    const fits = isWithin(maxPublicationBytes, envelope);
    return fits ? { room, envelope, ref } : reject('invalid_message', 'grows too large when written out');
  }

  #envelopeOf({ message, as }: Publish, room: string): string {
    const { pod, identity } = this.#context;
    const { wallMs, newId } = pod.world;
    return writeEnvelope({
      id: isUuid(message.id) ? message.id : newId(),
      type: message.type,
      room: room === GLOBAL_ROOM ? undefined : room,
      from: as ?? identity,
      // An envelope has every member, whatever the handler left out.
      data: message.data ?? {},
      timestamp: timestamp(wallMs()),
    });
  }

  #post(letter: Letter): void {
    const { publishWindow } = this.#context.pod.limits;
    const waits = this.#underWay >= publishWindow;
    if (waits && (this.#waiting?.length ?? 0) >= publishWindow) {
      this.complain(reject('unavailable', 'too many publishes are under way', letter.ref));
      return;
    }
    this.#intake.published();
    if (waits) (this.#waiting ??= []).push(letter);
    else this.#send(letter);
  }

  #send({ room, envelope, ref }: Letter): void {
    const { broker, log } = this.#context.pod;
    this.#underWay += 1;
    broker.publish(room, envelope).subscribe(new Publishing(this, log, ref));
  }
}

/**
 * A publish under way. Nothing comes of it but an error: what is published returns from the broker, as it does to everybody else.
 * It was said, so it outlives its connection.
 */
class Publishing extends Sink<never> {
  readonly #outbox: Outbox;
  readonly #log: ConnectionContext['pod']['log'];
  readonly #ref: string | undefined;

  constructor(outbox: Outbox, log: ConnectionContext['pod']['log'], ref: string | undefined) {
    super();
    this.#outbox = outbox;
    this.#log = log;
    this.#ref = ref;
  }

  protected override _complete(): void {
    this.#outbox.settled();
    this.unsubscribe();
  }

  protected override _error(error: unknown): void {
    // A broker promises no other error; where one breaks its promise, somebody has to know.
    if (!(error instanceof PublishError)) this.#log.error({ err: error }, 'broker failed');
    this.#outbox.complain(asRejection(error, this.#ref));
    this.#outbox.settled();
    this.unsubscribe();
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
