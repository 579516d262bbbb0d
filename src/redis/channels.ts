import { GLOBAL_ROOM } from '../protocol/protocol.js';

/** Which Redis channel carries what (spec: "Redis"): `{prefix}:room:{room}`, and `{prefix}:global`. */
export interface RoomChannels {
  channelOf(room: string): string;
  /** Where all pods tell each other what they misplaced (see `Misplaced`). */
  readonly misplaced: string;
  /** Undefined for a channel that is no room's. */
  roomOf(channel: string): string | undefined;
}

export function roomChannels(prefix: string): RoomChannels {
  const global = `${prefix}:global`;
  const rooms = `${prefix}:room:`;
  return {
    misplaced: `${prefix}:misplaced`,
    channelOf: (room) => (room === GLOBAL_ROOM ? global : rooms + room),
    roomOf: (channel) => {
      if (channel === global) return GLOBAL_ROOM;
      return channel.startsWith(rooms) && channel !== rooms ? channel.slice(rooms.length) : undefined;
    },
  };
}
