import type { Server } from '../address.js';
import { SLOT_COUNT } from './slots.js';

/** Slots from `first` to `last`, both included. */
export interface OwnedSlots {
  readonly first: number;
  readonly last: number;
  readonly server: Server;
}

/**
 * Which server of a cluster owns which slot: ranges, as a cluster tells them, but for the single slots that are known better.
 * Ranges do not overlap.
 */
export class SlotTable {
  readonly #ranges: readonly OwnedSlots[];
  readonly #corrections: ReadonlyMap<number, Server>;
  /** How many slots each owns; none who owns none. */
  readonly #shares = new Map<Server, number>();

  constructor(ranges: readonly OwnedSlots[] = [], corrections: ReadonlyMap<number, Server> = new Map()) {
    this.#ranges = [...ranges].sort((a, b) => a.first - b.first);
    this.#corrections = corrections;
    for (const { first, last, server } of ranges) this.#share(server, last - first + 1);
    for (const [slot, server] of corrections) {
      const told = this.#told(slot);
      if (told !== undefined) this.#share(told, -1);
      this.#share(server, 1);
    }
  }

  /** The ranges are the same; corrections are left out. */
  hasRanges(ranges: readonly OwnedSlots[]): boolean {
    return (
      ranges.length === this.#ranges.length &&
      ranges.every(({ first, last, server }, at) => {
        const other = this.#ranges[at];
        return other?.first === first && other.last === last && other.server === server;
      })
    );
  }

  /** Who owns at least one slot. */
  get owners(): ReadonlySet<Server> {
    return new Set(this.#shares.keys());
  }

  /** How many slots nobody owns. */
  get unowned(): number {
    return [...this.#shares.values()].reduce((left, share) => left - share, SLOT_COUNT);
  }

  ownerOf(slot: number): Server | undefined {
    return this.#corrections.get(slot) ?? this.#told(slot);
  }

  /** The same ranges, with these corrections in place of those before. */
  corrected(corrections: ReadonlyMap<number, Server>): SlotTable {
    return new SlotTable(this.#ranges, corrections);
  }

  /** Who owns it by the ranges, of which a cluster that has been divided slot by slot has thousands. */
  #told(slot: number): Server | undefined {
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle]?.last ?? SLOT_COUNT) < slot) low = middle + 1;
      else high = middle;
    }
    const range = this.#ranges[low];
    return range !== undefined && range.first <= slot ? range.server : undefined;
  }

  #share(server: Server, slots: number): void {
    const share = (this.#shares.get(server) ?? 0) + slots;
    if (share > 0) this.#shares.set(server, share);
    else this.#shares.delete(server);
  }
}
