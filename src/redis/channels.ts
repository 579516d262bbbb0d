import { GLOBAL_ROOM } from '../protocol/protocol.js';

/** The Redis channels of rooms (docs/protocol.md, "Publishing from other services"): `{prefix}:room:{room}`, and `{prefix}:global`. */
export interface RoomChannels {
  channelOf(room: string): string;
  /** The channel on which pods announce publishes in doubt (see `PublishesInDoubt`). */
  readonly announcements: string;
  /** Undefined if the channel is not a room's. */
  roomOf(channel: string): string | undefined;
}

export function roomChannels(prefix: string): RoomChannels {
  const global = `${prefix}:global`;
  const rooms = `${prefix}:room:`;
  return {
    announcements: `${prefix}:misplaced`,
    channelOf: (room) => (room === GLOBAL_ROOM ? global : rooms + room),
    roomOf: (channel) => {
      if (channel === global) return GLOBAL_ROOM;
      return channel.startsWith(rooms) && channel !== rooms ? channel.slice(rooms.length) : undefined;
    },
  };
}
