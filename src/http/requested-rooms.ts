import { isRoomName } from '../protocol/names.js';
import { MAX_ROOMS } from '../protocol/protocol.js';

/**
 * Query keys that other services read as `room`: a list (`room[]`, `room[0]`), bad or double percent-encoding, white space around, `&amp;` before.
 * They are refused, not ignored: a client that means a room and is in none publishes to everybody.
 */
const MEANT_AS_ROOM = /^(\s*(amp;)?room\s*|room\s*[[%].*)$/s;

/** The rooms of a request cannot be joined; the message says why. */
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

/** The key, decoded. A badly encoded key is returned as it is: other parameters of the query are not checked. */
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
