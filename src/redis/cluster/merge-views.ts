import type { Claim, ClusterView } from './cluster-view.js';
import type { Server } from '../address.js';
import type { OwnedSlots } from './slot-table.js';
import { SLOT_COUNT } from './slots.js';

/** A claim, and under which address clients connect to the server. */
export interface KnownNode extends Claim {
  readonly server: Server;
  /** The server itself said so. */
  readonly isOwn: boolean;
}

/** What one server said, and when it was asked. */
export interface ViewReport {
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
export function mergeViews(before: readonly KnownNode[], reports: readonly ViewReport[]): readonly KnownNode[] {
  const known = new Set(reports.flatMap(({ view }) => view.claims.map(({ id }) => id)));
  const merged = new Map<string, KnownNode>();
  for (const claim of before) if (known.has(claim.id)) merged.set(claim.id, { ...claim, isOwn: false });
  for (const { view, serverOf } of [...reports].sort((a, b) => a.askedMs - b.askedMs)) {
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
export function ownedSlots(claims: readonly KnownNode[]): readonly OwnedSlots[] {
  const rising = [...claims].sort((a, b) => a.epoch - b.epoch || Number(a.isOwn) - Number(b.isOwn));
  // By its place among the claims, from 1; 0 is nobody's.
  const owners = new Uint16Array(SLOT_COUNT);
  for (const [at, { slots }] of rising.entries()) for (const { first, last } of slots) owners.fill(at + 1, first, last + 1);
  const ranges: OwnedSlots[] = [];
  for (let first = 0; first < SLOT_COUNT;) {
    const owner = owners[first] ?? 0;
    let end = first + 1;
    while (end < SLOT_COUNT && owners[end] === owner) end += 1;
    const server = rising[owner - 1]?.server;
    if (server !== undefined) ranges.push({ first, last: end - 1, server });
    first = end;
  }
  return ranges;
}
