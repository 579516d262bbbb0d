import type { Server } from '../address.js';
import type { ClusterNode, ClusterView } from './cluster-view.js';
import { SLOT_COUNT, type OwnedSlots } from './slots.js';

/** A node, and the address at which clients connect to it. */
export interface KnownNode extends ClusterNode {
  readonly server: Server;
  /** The node itself reported this. */
  readonly isOwn: boolean;
}

/** The view of one server, and when the server was asked for it. */
export interface ViewReport {
  readonly askedMs: number;
  readonly view: ClusterView;
  /** The address at which clients connect to a node. */
  readonly serverOf: (node: ClusterNode) => Server | undefined;
}

/**
 * Merges the views of several servers and the nodes that were known before. Of the entries for one node, that with the greatest config
 * epoch wins, among equals that of the node itself, then the newest. A node that no view contains is removed.
 *
 * The nodes that were known before take part, so that a server that lags behind cannot revert the table.
 */
export function mergeViews(before: readonly KnownNode[], reports: readonly ViewReport[]): readonly KnownNode[] {
  const ids = new Set(reports.flatMap(({ view }) => view.nodes.map(({ id }) => id)));
  const merged = new Map<string, KnownNode>();
  for (const node of before) if (ids.has(node.id)) merged.set(node.id, { ...node, isOwn: false });
  for (const { view, serverOf } of [...reports].sort((a, b) => a.askedMs - b.askedMs)) {
    for (const node of view.nodes) {
      const server = serverOf(node);
      const other = merged.get(node.id);
      const isOwn = node.id === view.id;
      if (server === undefined || (other && (other.epoch > node.epoch || (other.epoch === node.epoch && other.isOwn && !isOwn))))
        continue;
      merged.set(node.id, { ...node, server, isOwn });
    }
  }
  return [...merged.values()];
}

/** The owners of all slots. If several nodes claim a slot, the greatest config epoch wins, and among equals a node's own report. */
export function ownedSlots(nodes: readonly KnownNode[]): readonly OwnedSlots[] {
  const rising = [...nodes].sort((a, b) => a.epoch - b.epoch || Number(a.isOwn) - Number(b.isOwn));
  // The owner of each slot: its position in `rising`, from 1; 0 if there is none.
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
