import type { Claim, ClusterView } from './cluster-view.js';
import type { Server } from '../address.js';
import type { SlotRange } from './slot-table.js';
import { SLOTS } from './slots.js';

/** A claim, and under which address clients connect to the server. */
export interface PlacedClaim extends Claim {
  readonly server: Server;
  /** The server itself said so. */
  readonly isOwn: boolean;
}

/** What one server said, and when it was asked. */
export interface Testimony {
  readonly askedMs: number;
  readonly view: ClusterView;
  /** Where clients connect to a server, by its id. */
  readonly serverOf: (claim: Claim) => Server | undefined;
}

/**
 * One claim for each server, from what several servers say and from what was known before. Of one server's claims the one with the
 * greatest epoch counts, and among equals its own word, then the newest. A server that nobody knows any more is forgotten.
 *
 * The claims that were known before take part, so that a server which is behind cannot turn the table back.
 */
export function mergeClaims(before: readonly PlacedClaim[], testimonies: readonly Testimony[]): readonly PlacedClaim[] {
  const known = new Set(testimonies.flatMap(({ view }) => view.claims.map(({ id }) => id)));
  const merged = new Map<string, PlacedClaim>();
  for (const claim of before) if (known.has(claim.id)) merged.set(claim.id, { ...claim, isOwn: false });
  for (const { view, serverOf } of [...testimonies].sort((a, b) => a.askedMs - b.askedMs)) {
    for (const claim of view.claims) {
      const server = serverOf(claim);
      const other = merged.get(claim.id);
      const isOwn = claim.id === view.id;
      if (
        server === undefined ||
        (other && (other.epoch > claim.epoch || (other.epoch === claim.epoch && other.isOwn && !isOwn)))
      )
        continue;
      merged.set(claim.id, { ...claim, server, isOwn });
    }
  }
  return [...merged.values()];
}

/** The owner of each slot: of several servers that claim it, the one with the greatest epoch, and among equals who claims it itself. */
export function rangesOf(claims: readonly PlacedClaim[]): readonly SlotRange[] {
  const rising = [...claims].sort((a, b) => a.epoch - b.epoch || Number(a.isOwn) - Number(b.isOwn));
  // By its place among the claims, from 1; 0 is nobody's.
  const owners = new Uint16Array(SLOTS);
  for (const [at, { slots }] of rising.entries()) for (const { first, last } of slots) owners.fill(at + 1, first, last + 1);
  const ranges: SlotRange[] = [];
  for (let first = 0; first < SLOTS;) {
    const owner = owners[first] ?? 0;
    let end = first + 1;
    while (end < SLOTS && owners[end] === owner) end += 1;
    const server = rising[owner - 1]?.server;
    if (server !== undefined) ranges.push({ first, last: end - 1, server });
    first = end;
  }
  return ranges;
}
