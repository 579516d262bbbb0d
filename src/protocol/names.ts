import { MAX_ROOMS, byteLength } from './protocol.js';

/** The longest name of a room, in bytes of UTF-8. */
const MAX_ROOM_BYTES = 128;

const CONTROL = /\p{Cc}/u;

/**
 * Whether a text is a valid room name: 1 to 128 bytes of UTF-8, no control character, no `/`, no white space at either end, neither `.` nor `..`.
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
 * Query keys that were probably meant as `room`: lists (`room[]`, `room[0]`), wrong percent-encoding, surrounding white space, or `&amp;`.
 * They are refused rather than ignored, because a client without a room sends its messages to everybody.
 */
const MEANT_AS_ROOM = /^(\s*(amp;)?room\s*|room\s*[[%].*)$/s;

/** The rooms in a request are invalid. */
export class BadRooms extends Error {}

/**
 * The rooms that an upgrade request names, each once, in their order.
 *
 * @param segment the part of the path after `/ws/`, still percent-encoded; undefined if the path names no room
 * @param query the query without its `?`, still encoded; every `room=` in it counts
 * @throws BadRooms for an invalid room name, bad percent-encoding, or more than 100 rooms
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

/** A decoded key, or the key itself if it cannot be decoded: other parts of the query are not checked. */
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
