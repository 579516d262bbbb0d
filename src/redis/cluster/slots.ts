import type { Server } from '../address.js';

/** The number of hash slots of a Redis Cluster. */
export const SLOT_COUNT = 16_384;

/** Slots from `first` to `last`, both included. */
export interface SlotRange {
  readonly first: number;
  readonly last: number;
}

/** Slots that one server owns. */
export interface OwnedSlots extends SlotRange {
  readonly server: Server;
}

const CRC16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

/** The hash slot of a channel, as the Redis Cluster specification defines it: CRC16 of its hash tag, or of all of it if it has none. */
export function slotOf(channel: string): number {
  let crc = 0;
  for (const byte of Buffer.from(hashTag(channel))) crc = ((crc << 8) ^ (CRC16[(crc >> 8) ^ byte] ?? 0)) & 0xffff;
  return crc % SLOT_COUNT;
}

/** Whether all channels with this prefix are in one slot. */
export function pinsSlot(prefix: string): boolean {
  return hashTag(prefix) !== prefix;
}

/** The text between the first brace and the next closing one, unless it is empty; else the whole channel. */
function hashTag(channel: string): string {
  const open = channel.indexOf('{');
  const close = open < 0 ? -1 : channel.indexOf('}', open + 1);
  return close > open + 1 ? channel.slice(open + 1, close) : channel;
}

/** The owner of each slot of a cluster: ranges that do not overlap, and corrections for single slots. */
export class SlotTable {
  readonly #ranges: readonly OwnedSlots[];
  readonly #corrections: ReadonlyMap<number, Server>;
  /** The number of slots of each server that owns any. */
  readonly #counts = new Map<Server, number>();

  constructor(ranges: readonly OwnedSlots[] = [], corrections: ReadonlyMap<number, Server> = new Map()) {
    this.#ranges = [...ranges].sort((a, b) => a.first - b.first);
    this.#corrections = corrections;
    for (const { first, last, server } of ranges) this.#count(server, last - first + 1);
    for (const [slot, server] of corrections) {
      const uncorrected = this.#inRanges(slot);
      if (uncorrected !== undefined) this.#count(uncorrected, -1);
      this.#count(server, 1);
    }
  }

  /** Whether the ranges are equal; corrections are ignored. */
  hasRanges(ranges: readonly OwnedSlots[]): boolean {
    return (
      ranges.length === this.#ranges.length &&
      ranges.every(({ first, last, server }, at) => {
        const other = this.#ranges[at];
        return other?.first === first && other.last === last && other.server === server;
      })
    );
  }

  /** The servers that own at least one slot. */
  get owners(): ReadonlySet<Server> {
    return new Set(this.#counts.keys());
  }

  /** The number of slots without an owner. */
  get unowned(): number {
    return [...this.#counts.values()].reduce((left, count) => left - count, SLOT_COUNT);
  }

  ownerOf(slot: number): Server | undefined {
    return this.#corrections.get(slot) ?? this.#inRanges(slot);
  }

  /** The same ranges with other corrections. */
  corrected(corrections: ReadonlyMap<number, Server>): SlotTable {
    return new SlotTable(this.#ranges, corrections);
  }

  /** A binary search, since a cluster that was divided slot by slot has thousands of ranges. */
  #inRanges(slot: number): Server | undefined {
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle]?.last ?? SLOT_COUNT) < slot) low = middle + 1;
      else high = middle;
    }
    const range = this.#ranges[low];
    return range !== undefined && range.first <= slot ? range.server : undefined;
  }

  #count(server: Server, slots: number): void {
    const count = (this.#counts.get(server) ?? 0) + slots;
    if (count > 0) this.#counts.set(server, count);
    else this.#counts.delete(server);
  }
}
