import { byteLength } from './protocol.js';

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
