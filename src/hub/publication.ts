import { isUtf8 } from 'node:buffer';
import type { Publication } from '../broker/broker.js';
import { ENVELOPE_BYTES, GLOBAL_ROOM, LARGEST_MESSAGE_BYTES, PRIVATE_TYPES } from '../protocol/protocol.js';

/** The check's result: the id and the time that the envelope bears (milliseconds since the epoch), or what is wrong with it. */
export type Check =
  | { readonly ok: true; readonly id: string; readonly publishedAtMs: number }
  | {
      readonly ok: false;
      readonly reason: string;
      /** Where size alone is wrong: the time that the envelope bears. It would have been delivered, so its room gets a gap. */
      readonly sinceMs?: number;
    };

/** No pod takes a larger publication, whatever its `MAX_MESSAGE_BYTES`: it is not even parsed. */
const MAX_PARSED_BYTES = LARGEST_MESSAGE_BYTES + ENVELOPE_BYTES;

const SECOND_MS = 1000;
const DAY_MS = 86_400 * SECOND_MS;

// RFC 3339 section 5.6, with its letters in either case; Date.parse alone takes much else.
const RFC_3339 = /^(\d{4}-\d\d-(\d\d))T([01]\d|2[0-3]):\d\d:(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;

/**
 * Judges what came through the broker before any client sees it: UTF-8 JSON of bounded size with every member of an envelope and no
 * other, the room of its channel, and a type that may travel. Bad UTF-8 would make every browser in the room close.
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
  // What arrives together was mostly published in the same millisecond.
  if (value !== lastTimestamp) {
    lastMs = typeof value === 'string' ? parseTimestamp(value) : NaN;
    lastTimestamp = value;
  }
  return lastMs;
}

function parseTimestamp(text: string): number {
  const [, date = '', day, , seconds] = RFC_3339.exec(text) ?? [];
  // Date.parse counts on past the end of a month.
  if (new Date(date).getUTCDate() !== Number(day)) return NaN;
  return seconds === '60' ? leapSecond(text) : Date.parse(text.toUpperCase());
}

/** The time of a leap second (RFC 3339 section 5.7), which Date does not know: as POSIX has it, that of the second after. */
function leapSecond(text: string): number {
  const before = Date.parse(text.toUpperCase().replace(':60', ':59'));
  // It is the last second of a day in UTC, whatever time it is where the text was written.
  return before % DAY_MS >= DAY_MS - SECOND_MS ? before + SECOND_MS : NaN;
}

function bad(reason: string): Check {
  return { ok: false, reason };
}
