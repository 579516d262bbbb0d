import { destination } from './destination.js';
import type { Handler } from '../handlers/handler.js';
import { parseMessage } from './parse.js';
import { reject, usableRef, type Rejection } from '../handlers/rejection.js';
import {
  ENVELOPE_BYTES,
  GLOBAL_ROOM,
  SERVER_TYPES,
  byteLength,
  timestamp,
  writeEnvelope,
  type ClientMessage,
} from '../protocol/protocol.js';

/** A message that has passed every check and has a handler. */
export interface Accepted {
  readonly kind: 'accepted';
  readonly message: ClientMessage;
  readonly handler: Handler;
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

/**
 * Every check that a message must pass before a handler sees it; what fails one is a *bad message*
 * (`invalid_json`, `invalid_message`, `unknown_type`, `forbidden_type`).
 */
export function checkMessage(text: string, options: CheckOptions): Accepted | Rejection {
  const { handlers, maxMessageBytes } = options;
  const parsed = parseMessage(text);
  if (parsed.kind === 'rejection') return parsed;
  const { message } = parsed;
  const ref = usableRef(message.id);
  if (SERVER_TYPES.has(message.type)) return reject('forbidden_type', 'only the server sends this type', ref);
  const handler = handlers.get(message.type);
  if (!handler) return reject('unknown_type', 'no such message type', ref);
  const problem = handler.check(message.data);
  if (problem !== undefined) return reject('invalid_message', problem, ref);
  if (text.length * MAX_GROWTH > maxMessageBytes && envelopeBytes(message, options) > maxMessageBytes + ENVELOPE_BYTES) {
    return reject('invalid_message', 'grows too large when written out', ref);
  }
  return { kind: 'accepted', message, handler };
}

/** What stands around the handlers may have changed a message: whether its handler can still take it. */
export function recheckMessage(message: ClientMessage, handlers: ReadonlyMap<string, Handler>): Accepted | Rejection {
  const handler = handlers.get(message.type);
  const ref = usableRef(message.id);
  if (!handler) return reject('unknown_type', 'no such message type', ref);
  const problem = handler.check(message.data);
  return problem === undefined ? { kind: 'accepted', message, handler } : reject('invalid_message', problem, ref);
}

const SOME_ID = '00000000-0000-7000-8000-000000000000';

function envelopeBytes({ type, room: named, data }: ClientMessage, { identity, rooms }: CheckOptions): number {
  const room = destination(named, rooms);
  // What goes nowhere is refused for that, whatever its size.
  const place = typeof room !== 'string' || room === GLOBAL_ROOM ? undefined : room;
  return byteLength(writeEnvelope({ id: SOME_ID, type, room: place, from: identity, data, timestamp: timestamp(0) }));
}
