/**
 * The words of the wire, shared by server and clients: no Node API in here.
 * docs/protocol.md explains them to people who write clients.
 */

/** The room of messages that go to every connection; no room can be called so. */
export const GLOBAL_ROOM = '';

/** `from` of the server's own messages; no identity may be called so. */
export const SERVER_ID = 'server';

/** The only WebSocket subprotocol (RFC 6455 section 1.9) that is ever chosen. */
export const SUBPROTOCOL = 'chat-api';

/** A browser offers its token as a subprotocol that begins so, beside the one above; it is never chosen. */
export const SUBPROTOCOL_TOKEN_PREFIX = 'bearer.';

/** What everybody receives: one such JSON object per text frame. */
export interface Envelope {
  readonly id: string;
  readonly type: string;
  /** Absent on a global message and on what is meant for one connection. */
  readonly room?: string | undefined;
  readonly from: string;
  readonly data: unknown;
  /** RFC 3339, UTC, with milliseconds. */
  readonly timestamp: string;
}

/** What a client may send; other members are ignored and not passed on. */
export interface ClientMessage {
  readonly type: string;
  readonly room?: string | undefined;
  readonly data?: unknown;
  readonly id?: string | undefined;
}

/** Message types that only the server or other backend services may send. */
export const SERVER_TYPES: ReadonlySet<string> = new Set(['presence', 'notification', 'system', 'error']);

/** Message types between one connection and its pod, which never travel through the broker. */
export const PRIVATE_TYPES: ReadonlySet<string> = new Set(['ping', 'pong', 'error', 'system']);

/** What `data.code` of an `error` may be; docs/protocol.md says what each means and what to do. */
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

/** One of them. */
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

/** A connection may be in this many rooms at once. */
export const MAX_ROOMS = 100;

/** JSON may be nested this deep, the message itself being the first level: deeper text parses but cannot be written again. */
export const MAX_DEPTH = 64;

/** No pod can be configured to take a larger message, in bytes. */
export const LARGEST_MESSAGE_BYTES = 16 * 1024 * 1024;

/** What the server adds around a client's message may take this many bytes. */
export const ENVELOPE_BYTES = 1024;

/** This many bad messages in a row close the connection: its client is broken, not unlucky. */
export const MAX_BAD_MESSAGES = 10;

let lastMs = 0;
let lastTimestamp = '1970-01-01T00:00:00.000Z';

/** Milliseconds since the epoch as the `timestamp` of an envelope. */
export function timestamp(ms: number): string {
  // A busy pod asks many times in one millisecond.
  if (ms !== lastMs) {
    lastTimestamp = new Date(ms).toISOString();
    lastMs = ms;
  }
  return lastTimestamp;
}

/**
 * An envelope as JSON, member by member, so that nothing else of the object can leak into it. It has every member: no data is `{}`.
 *
 * @throws whatever JSON.stringify does, and TypeError for data that JSON has no word for
 */
export function writeEnvelope({ id, type, room, from, data, timestamp }: Envelope): string {
  const place = room === undefined ? '' : `"room":${quoted(room)},`;
  const told = `"data":${written(data ?? {})}`;
  return `{"id":${quoted(id)},"type":${quoted(type)},${place}"from":${quoted(from)},${told},"timestamp":${quoted(timestamp)}}`;
}

/** An envelope with another timestamp, which is its last member. */
export function restamped(envelope: string, before: string, now: string): string {
  return `${envelope.slice(0, envelope.length - before.length - '"}'.length)}${now}"}`;
}

/** JSON makes `null` of `NaN`, of a date that is none, of an object whose `toJSON` says so; and no envelope has such data. */
function written(data: unknown): string {
  const text = JSON.stringify(data) as string | undefined;
  if (text === undefined || text === 'null') throw new TypeError(`data that is a ${typeof data}, for which JSON has no word`);
  return text;
}

// Nothing in it that JSON would escape; most names are of this kind, and looking is cheaper than escaping.
const PLAIN = /^[\w :.-]*$/;

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

const encoder = new TextEncoder();

/** UTF-8 takes at most so many bytes for a UTF-16 code unit. */
const MAX_BYTES_PER_UNIT = 3;

/** The beginning of a text that takes at most so many bytes of UTF-8. */
export function atMost(bytes: number, text: string): string {
  if (text.length * MAX_BYTES_PER_UNIT <= bytes) return text;
  const { read } = encoder.encodeInto(text, new Uint8Array(bytes));
  return text.slice(0, read);
}

/** Length of a text in UTF-8, in bytes. */
export function byteLength(text: string): number {
  return encoder.encode(text).length;
}

/** Whether a text takes at most so many bytes of UTF-8; most are so short that nothing need be counted. */
export function isWithin(bytes: number, text: string): boolean {
  return text.length * MAX_BYTES_PER_UNIT <= bytes || (text.length <= bytes && byteLength(text) <= bytes);
}
