import { isUtf8 } from 'node:buffer';
import type { Publication } from '../broker/broker.js';
import { ENVELOPE_BYTES, GLOBAL_ROOM, LARGEST_MESSAGE_BYTES, PRIVATE_TYPES } from '../protocol/protocol.js';

/** The result of a check: the envelope's id and timestamp (milliseconds since the epoch), or the reason why it is invalid. */
export type Check =
  | { readonly ok: true; readonly id: string; readonly publishedAtMs: number }
  | {
      readonly ok: false;
      readonly reason: string;
      /** The envelope's timestamp, if it is invalid only because of its size. Its room then gets a gap. */
      readonly sinceMs?: number;
    };

/** A larger publication exceeds every possible `MAX_MESSAGE_BYTES` and is not parsed. */
const MAX_PARSED_BYTES = LARGEST_MESSAGE_BYTES + ENVELOPE_BYTES;

const SECOND_MS = 1000;
const DAY_MS = 86_400 * SECOND_MS;

// RFC 3339 section 5.6, case-insensitive. Date.parse alone accepts many other formats.
const RFC_3339 = /^(\d{4}-\d\d-(\d\d))T([01]\d|2[0-3]):\d\d:(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;

/**
 * Checks a publication before it is sent to clients. It must be UTF-8 JSON of bounded size with exactly the members of an envelope, the
 * room of its channel, and a type that may be published. Invalid UTF-8 would make every browser in the room close its connection.
 */
export function checkPublication({ room, payload }: Publication, maxBytes: number): Check {
  if (payload.length > MAX_PARSED_BYTES) return bad('too large');
  if (!isUtf8(payload)) return bad('not UTF-8');
  let value: unknown;
  try {
    value = JSON.parse(payload.toString('utf8'));
  } catch {
    return bad('not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return bad('not an object');
  const check = checkEnvelope(value as Record<string, unknown>, room);
  if (check.ok && payload.length > maxBytes) return { ok: false, reason: 'too large', sinceMs: check.publishedAtMs };
  return check;
}

function checkEnvelope(envelope: Record<string, unknown>, room: string): Check {
  const members = room === GLOBAL_ROOM ? 5 : 6;
  if (Object.keys(envelope).length !== members) return bad('not the members of an envelope');
  if (room !== GLOBAL_ROOM && envelope['room'] !== room) return bad('not the room of its channel');
  if (!isName(envelope['id'])) return bad('no id');
  if (!isName(envelope['from'])) return bad('no from');
  if (envelope['data'] === undefined || envelope['data'] === null) return bad('no data');
  if (!isName(envelope['type']) || PRIVATE_TYPES.has(envelope['type'])) return bad('not a type that may be published');
  const publishedAtMs = readTimestamp(envelope['timestamp']);
  return Number.isNaN(publishedAtMs) ? bad('no timestamp') : { ok: true, id: envelope['id'], publishedAtMs };
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

let lastTimestamp: unknown;
let lastMs = NaN;

function readTimestamp(value: unknown): number {
  // Publications that arrive together often have the same timestamp.
  if (value !== lastTimestamp) {
    lastMs = typeof value === 'string' ? parseTimestamp(value) : NaN;
    lastTimestamp = value;
  }
  return lastMs;
}

function parseTimestamp(text: string): number {
  const [, date = '', day, , seconds] = RFC_3339.exec(text) ?? [];
  // Date.parse accepts days past the end of a month, such as February 30.
  if (new Date(date).getUTCDate() !== Number(day)) return NaN;
  return seconds === '60' ? leapSecond(text) : Date.parse(text.toUpperCase());
}

/** The time of a leap second (RFC 3339 section 5.7), which Date cannot parse. As in POSIX, it equals the next second. */
function leapSecond(text: string): number {
  const before = Date.parse(text.toUpperCase().replace(':60', ':59'));
  // A leap second is the last second of a day in UTC, whatever the offset of the text.
  return before % DAY_MS >= DAY_MS - SECOND_MS ? before + SECOND_MS : NaN;
}

function bad(reason: string): Check {
  return { ok: false, reason };
}
