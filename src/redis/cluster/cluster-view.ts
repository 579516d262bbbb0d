import type { Server } from '../address.js';
import { elements, malformedReply } from '../reply.js';
import { SLOT_COUNT, type SlotRange } from './slots.js';

/** A node of a cluster, with the slots that it owns by one server's view; none for a replica. */
export interface ClusterNode {
  /** The node id, which stays when the address changes. */
  readonly id: string;
  /** The config epoch: of two nodes that claim a slot, the one with the greater epoch owns it. */
  readonly epoch: number;
  /** The address as CLUSTER NODES writes it, to notice changes. */
  readonly address: string;
  readonly slots: readonly SlotRange[];
}

/** A cluster as one of its servers sees it. */
export interface ClusterView {
  /** The id of the server itself. */
  readonly id: string;
  /** The server reaches a majority of the masters that own slots. Without it, another part of the cluster may have promoted replicas. */
  readonly hasMajority: boolean;
  readonly nodes: readonly ClusterNode[];
}

/**
 * Reads the reply to CLUSTER NODES: a line for each node.
 *
 * @throws LinkError if it is malformed
 */
export function readNodes(reply: unknown): ClusterView {
  if (typeof reply !== 'string') throw malformedReply('CLUSTER NODES');
  const lines = reply.split('\n').filter((line) => line !== '');
  const all = lines.map(readNode);
  const [myself] = all.filter(({ flags }) => flags.includes('myself'));
  if (myself === undefined) throw malformedReply('CLUSTER NODES');
  const masters = all.filter(({ node, flags }) => node.slots.length > 0 && flags.includes('master'));
  const reachable = masters.filter(({ flags }) => !flags.includes('fail') && !flags.includes('fail?'));
  return {
    id: myself.node.id,
    hasMajority: reachable.length >= majorityOf(masters.length),
    nodes: all.map(({ node }) => node),
  };
}

/** The smallest number that is a majority of `count`. */
export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

function readNode(line: string): { readonly node: ClusterNode; readonly flags: readonly string[] } {
  const [id, address, flags, , , , epoch, , ...slots] = line.split(' ');
  if (id === undefined || address === undefined || flags === undefined || !/^\d+$/.test(epoch ?? '')) {
    throw malformedReply('CLUSTER NODES');
  }
  // A slot in brackets is being migrated, and is listed with its owner, too.
  const owned = slots.filter((slot) => !slot.startsWith('['));
  return { node: { id, address, epoch: Number(epoch), slots: owned.map(readRange) }, flags: flags.split(',') };
}

function readRange(text: string): SlotRange {
  const [, from = '', to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (from === '' || first > last || last >= SLOT_COUNT) throw malformedReply('CLUSTER NODES');
  return { first, last };
}

/** Host and port of an address in CLUSTER NODES, `10.0.0.1:6379@16379,name`; undefined if it has no host yet. */
export function serverAt(address: string): Server | undefined {
  return /^(.+:\d+)@/.exec(address)?.[1];
}

/**
 * Reads only the addresses at which clients connect to each node from the reply to CLUSTER SLOTS. The cluster may be configured to
 * give names there.
 *
 * @param host of the server that replied; used for a node that does not know its own
 * @throws LinkError if the reply is malformed
 */
export function readEndpoints(reply: unknown, host: string): ReadonlyMap<string, Server> {
  const endpoints = new Map<string, Server>();
  for (const row of rowsOf(reply)) {
    // The first two elements are slots.
    for (const node of rowsOf(row).slice(2)) {
      const [name, port, id] = elements(node);
      if (typeof port !== 'number' || typeof id !== 'string') throw malformedReply('CLUSTER SLOTS');
      const isNamed = typeof name === 'string' && name !== '' && name !== '?';
      endpoints.set(id, `${isNamed ? name : host}:${port}`);
    }
  }
  return endpoints;
}

function rowsOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw malformedReply('CLUSTER SLOTS');
  return value;
}

/** The state of a cluster as one of its servers reports it. */
export interface ClusterState {
  readonly isOk: boolean;
  /** Not ok although every slot has a reachable owner: the server has no contact with a majority of the masters. */
  readonly isCutOff: boolean;
}

/**
 * Reads the reply to CLUSTER INFO.
 *
 * @throws LinkError if it is malformed
 */
export function readInfo(reply: unknown): ClusterState {
  const lines = typeof reply === 'string' ? reply.split(/\r?\n/) : [];
  const valueOf = (name: string) => lines.find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1);
  const state = valueOf('cluster_state');
  if (state === undefined) throw malformedReply('CLUSTER INFO');
  const isOk = state === 'ok';
  const isComplete = valueOf('cluster_slots_assigned') === String(SLOT_COUNT) && valueOf('cluster_slots_fail') === '0';
  return { isOk, isCutOff: !isOk && isComplete };
}

/** The redirection of an error reply, `MOVED 3999 127.0.0.1:6381`; undefined for any other. */
export function readMoved(reason: string): { readonly slot: number; readonly server: Server } | undefined {
  const [, slot, server] = /^MOVED (\d+) (\S+:\d+)$/.exec(reason) ?? [];
  return slot === undefined || server === undefined || server.startsWith(':') ? undefined : { slot: Number(slot), server };
}
