import { reject, type Rejection } from '../handlers/rejection.js';
import { GLOBAL_ROOM } from '../protocol/protocol.js';

/**
 * Where a message goes (spec: "Where a message goes"): to the room it names; if it names none, to the connection's one room;
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
