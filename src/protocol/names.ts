import { MAX_ROOMS, byteLength } from './protocol.js';

/** A room's name may take this many bytes of UTF-8. */
const MAX_ROOM_BYTES = 128;

const CONTROL = /\p{Cc}/u;

/**
 * Whether a text may name a room: 1 to 128 bytes of UTF-8, no control character, no `/`, no white space at either end, neither `.` nor `..`.
 */
export function isRoomName(name: string): boolean {
  return (
    name !== '' &&
    name !== '.' &&
    name !== '..' &&
    name.length <= MAX_ROOM_BYTES &&
    name.isWellFormed() &&
    !name.includes('/') &&
    !CONTROL.test(name) &&
    name.trim() === name &&
    byteLength(name) <= MAX_ROOM_BYTES
  );
}

/**
 * Keys of a query that other services read as `room`: as a list (`room[]`, `room[0]`), with bad or double percent-encoding, with white space around, behind an `&` that was
 * written for HTML. Who means a room and is in none speaks to everybody, so that they are refused and not overlooked.
 */
const MEANT_AS_ROOM = /^(\s*(amp;)?room\s*|room\s*[[%].*)$/s;

/** Why a request's rooms cannot be joined. */
export class BadRooms extends Error {}

/**
 * The rooms that an upgrade names, each once, in the order named.
 *
 * @param segment what follows `/ws/` in the path, still percent-encoded; undefined where the path names no room
 * @param query the query without its `?`, still encoded; every `room=` in it counts
 * @throws BadRooms for a name that is no room's, bad percent-encoding, or more than 100 rooms
 */
export function requestedRooms(segment: string | undefined, query: string): readonly string[] {
  const encoded = segment === undefined ? [] : [segment];
  for (const pair of query.split('&')) {
    const [key, value = ''] = splitOnce(pair.replaceAll('+', ' '), '=');
    const name = keyOf(key);
    if (name === 'room') encoded.push(value);
    else if (MEANT_AS_ROOM.test(name)) throw new BadRooms('rooms are named by room=, once for each');
  }
  const rooms = new Set(encoded.map(decode));
  for (const room of rooms) if (!isRoomName(room)) throw new BadRooms('not a room name');
  if (rooms.size > MAX_ROOMS) throw new BadRooms(`more than ${MAX_ROOMS} rooms`);
  return [...rooms];
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** A key, decoded; as it stands where it cannot be, which is not ours: what else is in a query is not judged. */
function keyOf(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new BadRooms('bad percent-encoding');
  }
}
