import { malformed, parts } from './master.js';
import { isPort, type Server } from './server.js';
import { SLOTS } from './slots.js';

/** Slots from `first` to `last`, both included. */
export interface SlotRange {
  readonly first: number;
  readonly last: number;
  readonly server: Server;
}

/**
 * Which server of a cluster owns which slot: ranges, as a cluster tells them, but for the single slots that are known better.
 * Ranges do not overlap.
 */
export class SlotTable {
  readonly #ranges: readonly SlotRange[];
  readonly #corrections: ReadonlyMap<number, Server>;
  /** How many slots each owns; none who owns none. */
  readonly #shares = new Map<Server, number>();

  constructor(ranges: readonly SlotRange[] = [], corrections: ReadonlyMap<number, Server> = new Map()) {
    this.#ranges = [...ranges].sort((a, b) => a.first - b.first);
    this.#corrections = corrections;
    for (const { first, last, server } of ranges) this.#share(server, last - first + 1);
    for (const [slot, server] of corrections) {
      const told = this.#told(slot);
      if (told !== undefined) this.#share(told, -1);
      this.#share(server, 1);
    }
  }

  /** Who owns at least one slot. */
  get owners(): ReadonlySet<Server> {
    return new Set(this.#shares.keys());
  }

  /** How many slots nobody owns. */
  get unowned(): number {
    return [...this.#shares.values()].reduce((left, share) => left - share, SLOTS);
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
      if ((this.#ranges[middle]?.last ?? SLOTS) < slot) low = middle + 1;
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

/**
 * Reads the answer to CLUSTER SLOTS: ranges with the server that owns them, and its replicas.
 *
 * @param host where the answer came from: what a server calls itself before it knows its own address
 * @throws LinkError where it is no such answer
 */
export function readSlots(answer: unknown, host: string): SlotTable {
  if (!Array.isArray(answer)) throw malformed('CLUSTER SLOTS');
  const ranges = answer.map((row: unknown) => readRange(row, host)).sort((a, b) => a.first - b.first);
  if (ranges.some(({ first }, nth) => first <= (ranges[nth - 1]?.last ?? -1))) throw malformed('CLUSTER SLOTS');
  return new SlotTable(ranges);
}

function readRange(row: unknown, host: string): SlotRange {
  const [first, last, owner] = parts(row);
  if (!isSlot(first) || !isSlot(last) || first > last) throw malformed('CLUSTER SLOTS');
  return { first, last, server: readOwner(owner, host) };
}

function readOwner(owner: unknown, host: string): Server {
  const [name, port] = parts(owner);
  if (typeof port !== 'number' || !isPort(port)) throw malformed('CLUSTER SLOTS');
  if (name === null || name === '' || name === '?') return `${host}:${port}`;
  if (typeof name !== 'string') throw malformed('CLUSTER SLOTS');
  return `${name}:${port}`;
}

function isSlot(given: unknown): given is number {
  return typeof given === 'number' && Number.isInteger(given) && given >= 0 && given < SLOTS;
}

/** Where Redis says that a slot is instead: `MOVED 3999 127.0.0.1:6381`. */
export function readMoved(reason: string): { readonly slot: number; readonly server: Server } | undefined {
  const [, slot, server] = /^MOVED (\d+) (\S+:\d+)$/.exec(reason) ?? [];
  if (slot === undefined || server === undefined || server.startsWith(':') || !isSlot(Number(slot))) return undefined;
  return { slot: Number(slot), server };
}
