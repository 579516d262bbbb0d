import { Observable, type OperatorFunction, type Subscriber } from 'rxjs';
import type { Handler } from '../handlers/handler.js';
import { reject, usableRef, type Rejection } from '../handlers/rejection.js';
import { OperatorSubscriber } from '../operators/operator-subscriber.js';
import {
  ENVELOPE_BYTES,
  GLOBAL_ROOM,
  MAX_DEPTH,
  SERVER_TYPES,
  byteLength,
  timestamp,
  writeEnvelope,
  type ClientMessage,
} from '../protocol/protocol.js';
import type { CurrentRooms, DispatchContext } from './context.js';

/** A message that its handler may take, or why it goes no further. */
export type Checked = ClientMessage | Rejection;

/** A message that failed its check. */
export interface BadMessage extends Rejection {
  /** The bad messages in a row, with this one. */
  readonly badInARow: number;
}

export interface CheckOptions {
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly maxMessageBytes: number;
  /** `from` of what the sender publishes: it counts in the envelope's size. */
  readonly identity: string;
  /** The rooms that the sender is in: the one that is filled in counts too. */
  readonly rooms: readonly string[];
}

// JSON.stringify can write a text longer than it was: `1e20` becomes 21 digits, and nothing grows more than that.
const MAX_GROWTH = 6;

/** Checks the text of each frame and counts the messages by type. */
export function checked(
  { pod, identity }: DispatchContext,
  current: Pick<CurrentRooms, 'rooms'>,
): OperatorFunction<{ readonly text: string }, ClientMessage | BadMessage> {
  const { handlers, limits, metrics } = pod;
  const options: CheckOptions = {
    handlers,
    maxMessageBytes: limits.maxMessageBytes,
    identity,
    get rooms() {
      return current.rooms;
    },
  };
  return (text$) => new Observable((subscriber) => text$.subscribe(new CheckSubscriber(subscriber, options, metrics)));
}

class CheckSubscriber extends OperatorSubscriber<{ readonly text: string }, ClientMessage | BadMessage> {
  readonly #options: CheckOptions;
  readonly #metrics: DispatchContext['pod']['metrics'];
  #badInARow = 0;

  constructor(output: Subscriber<ClientMessage | BadMessage>, options: CheckOptions, metrics: DispatchContext['pod']['metrics']) {
    super(output);
    this.#options = options;
    this.#metrics = metrics;
  }

  protected override take({ text }: { readonly text: string }): void {
    const message = checkMessage(text, this.#options);
    if (isRejection(message)) {
      this.#metrics.received('invalid');
      this.#badInARow += 1;
      this.output.next({ ...message, badInARow: this.#badInARow });
    } else {
      this.#metrics.received(message.type);
      this.#badInARow = 0;
      this.output.next(message);
    }
  }
}

export function isRejection(message: Checked): message is Rejection {
  return (message as Partial<Rejection>).kind === 'rejection';
}

/**
 * Makes every check that a message must pass before a handler sees it. A text that fails one is a *bad message*
 * (`invalid_json`, `invalid_message`, `unknown_type`, `forbidden_type`).
 */
export function checkMessage(text: string, options: CheckOptions): Checked {
  const { handlers, maxMessageBytes } = options;
  const parsed = parseMessage(text);
  if (isRejection(parsed)) return parsed;
  if (SERVER_TYPES.has(parsed.type)) return reject('forbidden_type', 'only the server sends this type', usableRef(parsed.id));
  const message = checkForHandler(parsed, handlers);
  if (isRejection(message)) return message;
  if (text.length * MAX_GROWTH > maxMessageBytes && envelopeBytes(message, options) > maxMessageBytes + ENVELOPE_BYTES) {
    return reject('invalid_message', 'grows too large when written out', usableRef(message.id));
  }
  return message;
}

/** Whether the message has a handler, and fits its schema. Middleware may change messages, which are checked again then. */
export function checkForHandler(message: ClientMessage, handlers: ReadonlyMap<string, Handler>): Checked {
  const handler = handlers.get(message.type);
  if (!handler) return reject('unknown_type', 'no such message type', usableRef(message.id));
  const problem = handler.check(message.data);
  return problem === undefined ? message : reject('invalid_message', problem, usableRef(message.id));
}

/**
 * Parses the text of one frame as a message; keeps only `type`, `room`, `data` and `id`.
 * Errors: `invalid_json` where it is not JSON, `invalid_message` where it is not such an object.
 */
export function parseMessage(text: string): Checked {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return reject('invalid_json', 'the frame is not JSON');
  }
  if (!isObject(value)) return reject('invalid_message', 'the message is not an object');
  const { type, room, data, id } = value;
  const ref = usableRef(id);
  if (typeof type !== 'string') return reject('invalid_message', 'type is not a string', ref);
  if (room !== undefined && typeof room !== 'string') return reject('invalid_message', 'room is not a string', ref);
  if (id !== undefined && typeof id !== 'string') return reject('invalid_message', 'id is not a string', ref);
  if (data === null) return reject('invalid_message', 'data is null', ref);
  const problem = unwritable(value, MAX_DEPTH);
  return problem === undefined ? { type, room, data, id } : reject('invalid_message', problem, ref);
}

function isObject(value: unknown): value is Record<'type' | 'room' | 'data' | 'id', unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Why a value cannot be written again as it was read: too deep for JSON.stringify, or a number beyond a double's range. */
function unwritable(value: unknown, levels: number): string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'a number is out of range';
  if (typeof value !== 'object' || value === null) return undefined;
  if (levels === 0) return `nested deeper than ${MAX_DEPTH}`;
  for (const name in value) {
    const problem = unwritable((value as Record<string, unknown>)[name], levels - 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/**
 * Where a message goes (docs/protocol.md, "Where a message goes"): to the room it names; if it names none, to the connection's one room;
 * from a connection in no room, or with an empty name, to everybody.
 *
 * @param named the message's `room`
 * @param rooms the rooms the sender is in
 * @returns a room's name, `GLOBAL_ROOM`, or why it goes nowhere: `room_required`, `not_in_room`
 */
export function destination(named: string | undefined, rooms: readonly string[]): string | Rejection {
  if (named === GLOBAL_ROOM) return GLOBAL_ROOM;
  if (named !== undefined) return rooms.includes(named) ? named : reject('not_in_room', 'the connection is not in that room');
  const [only] = rooms;
  if (only === undefined) return GLOBAL_ROOM;
  return rooms.length === 1 ? only : reject('room_required', 'the connection is in several rooms: name one');
}

const SOME_ID = '00000000-0000-7000-8000-000000000000';

function envelopeBytes({ type, room: named, data }: ClientMessage, { identity, rooms }: CheckOptions): number {
  const room = destination(named, rooms);
  // A message without a destination is rejected for that, whatever its size.
  const place = typeof room !== 'string' || room === GLOBAL_ROOM ? undefined : room;
  return byteLength(writeEnvelope({ id: SOME_ID, type, room: place, from: identity, data, timestamp: timestamp(0) }));
}
