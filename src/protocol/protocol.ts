/**
 * The protocol, shared by server and clients. Uses no Node API. docs/protocol.md documents it for developers of clients.
 */

/** The room of messages to every connection. Not a valid room name. */
export const GLOBAL_ROOM = '';

/** `from` of the server's own messages. Not a valid identity. */
export const SERVER_ID = 'server';

/** The only WebSocket subprotocol (RFC 6455 section 1.9) that the server selects. */
export const SUBPROTOCOL = 'chat-api';

/** The prefix of the subprotocol in which a browser sends its token, beside the one above. It is never selected. */
export const SUBPROTOCOL_TOKEN_PREFIX = 'bearer.';

/** A message from the server: one JSON object per text frame. */
export interface Envelope {
  readonly id: string;
  readonly type: string;
  /** Absent on global messages and on messages to one connection. */
  readonly room?: string | undefined;
  readonly from: string;
  readonly data: unknown;
  /** RFC 3339, UTC, with milliseconds. */
  readonly timestamp: string;
}

/** A message from a client. Other members are ignored and not passed on. */
export interface ClientMessage {
  readonly type: string;
  readonly room?: string | undefined;
  readonly data?: unknown;
  readonly id?: string | undefined;
}

/** Message types that clients must not send: only the server and other backend services do. */
export const SERVER_TYPES: ReadonlySet<string> = new Set(['presence', 'notification', 'system', 'error']);

/** Message types between one connection and its pod. They are never published. */
export const PRIVATE_TYPES: ReadonlySet<string> = new Set(['ping', 'pong', 'error', 'system']);

/** The values of `data.code` of an `error`. docs/protocol.md explains them. */
export const ERROR_CODES = [
  'invalid_json',
  'invalid_message',
  'unknown_type',
  'forbidden_type',
  'forbidden',
  'room_required',
  'not_in_room',
  'unavailable',
  'unconfirmed',
] as const;

/** The code of an `error` message (docs/protocol.md, "Errors"). */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** Close codes (RFC 6455 section 7.4). 4000–4499 mean "reconnect", 4500–4999 "do not". */
export const CloseCode = {
  normal: 1000,
  goingAway: 1001,
  unsupportedData: 1003,
  policyViolation: 1008,
  handlerBug: 1011,
  slowConsumer: 4000,
  pongTimeout: 4001,
  tokenExpired: 4002,
  badMessages: 4500,
} as const;

export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

/** The most rooms that a connection may be in at once. */
export const MAX_ROOMS = 100;

/** The deepest nesting of a message's JSON, the message being the first level. Deeper JSON could be parsed but not serialized again. */
export const MAX_DEPTH = 64;

/** The largest value of `MAX_MESSAGE_BYTES`. */
export const LARGEST_MESSAGE_BYTES = 16 * 1024 * 1024;

/** The most bytes that the server adds to a client's message. */
export const ENVELOPE_BYTES = 1024;

/** The number of invalid messages in a row that closes the connection. */
export const MAX_BAD_MESSAGES = 10;

let lastMs = 0;
let lastTimestamp = '1970-01-01T00:00:00.000Z';

/** Milliseconds since the epoch as the `timestamp` of an envelope. */
export function timestamp(ms: number): string {
  // Cached, because a busy pod calls this many times per millisecond.
  if (ms !== lastMs) {
    lastTimestamp = new Date(ms).toISOString();
    lastMs = ms;
  }
  return lastTimestamp;
}

/**
 * An envelope as JSON, without other members of the object. Undefined `data` becomes `{}`.
 *
 * @throws what JSON.stringify throws, and TypeError for `data` that JSON cannot represent
 */
export function writeEnvelope({ id, type, room, from, data, timestamp }: Envelope): string {
  const place = room === undefined ? '' : `"room":${quoted(room)},`;
  const content = `"data":${written(data ?? {})}`;
  return `{"id":${quoted(id)},"type":${quoted(type)},${place}"from":${quoted(from)},${content},"timestamp":${quoted(timestamp)}}`;
}

/** A serialized envelope with another timestamp, which is its last member. */
export function restamped(envelope: string, before: string, now: string): string {
  return `${envelope.slice(0, envelope.length - before.length - '"}'.length)}${now}"}`;
}

/** Refuses data that JSON.stringify turns into `null`, such as `NaN` or an invalid date: no envelope has such data. */
function written(data: unknown): string {
  const text = JSON.stringify(data) as string | undefined;
  if (text === undefined || text === 'null') throw new TypeError(`data that is a ${typeof data}, which JSON cannot represent`);
  return text;
}

// Most names match this and need no escaping; testing them is faster than JSON.stringify.
const PLAIN = /^[\w :.-]*$/;

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

const encoder = new TextEncoder();

/** The most bytes of UTF-8 per UTF-16 code unit. */
const MAX_BYTES_PER_UNIT = 3;

/** The longest beginning of a text that takes at most `bytes` bytes of UTF-8. */
export function atMost(bytes: number, text: string): string {
  if (text.length * MAX_BYTES_PER_UNIT <= bytes) return text;
  const { read } = encoder.encodeInto(text, new Uint8Array(bytes));
  return text.slice(0, read);
}

/** Length of a text in UTF-8, in bytes. */
export function byteLength(text: string): number {
  return encoder.encode(text).length;
}

/** Whether a text takes at most `bytes` bytes of UTF-8. Short texts are not encoded. */
export function isWithin(bytes: number, text: string): boolean {
  return text.length * MAX_BYTES_PER_UNIT <= bytes || (text.length <= bytes && byteLength(text) <= bytes);
}
