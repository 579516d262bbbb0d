import { mergeBatches, publicationBatch, type Batch } from './frame.js';
import type { Member, Room } from './room.js';

/**
 * Sends the arrivals of rooms to their members. The members of a room share the bytes of one batch; a member of several rooms gets one
 * merged batch.
 */
export function fanOut(rooms: readonly Room[]): void {
  const [only] = rooms;
  if (rooms.length === 1 && only) {
    const batch = takeBatch(only);
    for (const member of only.members) member.receive(batch);
    return;
  }
  for (const member of gather(rooms)) {
    const { pending } = member;
    member.pending = undefined;
    if (pending) member.receive(pending);
  }
}

/** The members of the rooms, each once, with the batch to send in `pending`. */
function gather(rooms: readonly Room[]): readonly Member[] {
  const members: Member[] = [];
  for (const room of rooms) {
    const batch = takeBatch(room);
    for (const member of room.members) {
      if (member.pending === undefined) members.push(member);
      member.pending = member.pending === undefined ? batch : mergeBatches(member.pending, batch);
    }
  }
  return members;
}

function takeBatch(room: Room): Batch {
  const { publications, sinceMs } = room.arrivals ?? { publications: [], sinceMs: Infinity };
  room.arrivals = undefined;
  return publicationBatch(publications, sinceMs);
}
