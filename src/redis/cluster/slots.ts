/** Redis Cluster divides all channels among so many slots. */
export const SLOT_COUNT = 16_384;

const CRC16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

/** The slot of a channel, as Redis Cluster's specification has it: CRC16 of its hash tag, or of all of it where it has none. */
export function slotOf(channel: string): number {
  let crc = 0;
  for (const byte of Buffer.from(hashTag(channel))) crc = ((crc << 8) ^ (CRC16[(crc >> 8) ^ byte] ?? 0)) & 0xffff;
  return crc % SLOT_COUNT;
}

/** Whether all channels that begin so are in one slot, whatever follows. */
export function pinsSlot(prefix: string): boolean {
  return hashTag(prefix) !== prefix;
}

/** What is between the first brace and the next closing one, if there is anything. */
function hashTag(channel: string): string {
  const open = channel.indexOf('{');
  const close = open < 0 ? -1 : channel.indexOf('}', open + 1);
  return close > open + 1 ? channel.slice(open + 1, close) : channel;
}
