import { LinkError } from '../link.js';
import type { Server } from '../address.js';
import { SLOT_COUNT } from './slots.js';

/** Slots from `first` to `last`, both included. */
export interface SlotRange {
  readonly first: number;
  readonly last: number;
}

/** The slots that one server of a cluster is said to own; none for a replica. */
export interface Claim {
  /** The server's id in the cluster, which stays when its address changes. */
  readonly id: string;
  /** The config epoch of the claim: of two servers that claim a slot, the one with the greater epoch owns it. */
  readonly epoch: number;
  /** The address as the cluster writes it, by which a change is noticed. */
  readonly address: string;
  readonly slots: readonly SlotRange[];
}

/** A cluster as one of its servers sees it. */
export interface ClusterView {
  /** The id of the server itself. */
  readonly id: string;
  /** The server can reach a majority of the masters that own slots. Without one, another part of the cluster may have promoted replicas. */
  readonly hasMajority: boolean;
  /** One of each server that is known. */
  readonly claims: readonly Claim[];
}

/**
 * Reads the answer to CLUSTER NODES: one line for each server.
 *
 * @throws LinkError where the answer has another shape
 */
export function readNodes(answer: unknown): ClusterView {
  if (typeof answer !== 'string') throw wrongShape('NODES');
  const lines = answer.split('\n').filter((line) => line !== '');
  const nodes = lines.map(readNode);
  const [myself] = nodes.filter(({ flags }) => flags.includes('myself'));
  if (myself === undefined) throw wrongShape('NODES');
  const masters = nodes.filter(({ claim, flags }) => claim.slots.length > 0 && flags.includes('master'));
  const reachable = masters.filter(({ flags }) => !flags.includes('fail') && !flags.includes('fail?'));
  return {
    id: myself.claim.id,
    hasMajority: reachable.length >= majorityOf(masters.length),
    claims: nodes.map(({ claim }) => claim),
  };
}

/** The least number that is a majority of so many. */
export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

function readNode(line: string): { readonly claim: Claim; readonly flags: readonly string[] } {
  const [id, address, flags, , , , epoch, , ...slots] = line.split(' ');
  if (id === undefined || address === undefined || flags === undefined || !/^\d+$/.test(epoch ?? '')) throw wrongShape('NODES');
  // A slot that is about to move stands in brackets and is listed with its owner as well.
  const owned = slots.filter((slot) => !slot.startsWith('['));
  return { claim: { id, address, epoch: Number(epoch), slots: owned.map(readRange) }, flags: flags.split(',') };
}

function readRange(text: string): SlotRange {
  const [, from = '', to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (from === '' || first > last || last >= SLOT_COUNT) throw wrongShape('NODES');
  return { first, last };
}

/** The host and port of a server's address in CLUSTER NODES, `10.0.0.1:6379@16379,name`; undefined where it has no host yet. */
export function serverAt(address: string): Server | undefined {
  return /^(.+:\d+)@/.exec(address)?.[1];
}

/**
 * Reads the answer to CLUSTER SLOTS for one thing only: under which address clients should connect to each server, which the cluster
 * may be configured to give as a name.
 *
 * @param host where the answer came from: the host of a server that does not know its own
 * @throws LinkError where the answer has another shape
 */
export function readEndpoints(answer: unknown, host: string): ReadonlyMap<string, Server> {
  const endpoints = new Map<string, Server>();
  for (const row of listOf(answer)) {
    // The first two are slots.
    for (const server of listOf(row).slice(2)) {
      const [name, port, id] = listOf(server);
      if (typeof port !== 'number' || typeof id !== 'string') throw wrongShape('SLOTS');
      const isNamed = typeof name === 'string' && name !== '' && name !== '?';
      endpoints.set(id, `${isNamed ? name : host}:${port}`);
    }
  }
  return endpoints;
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw wrongShape('SLOTS');
  return value;
}

/** The state of a cluster in the words of one server. */
export interface ClusterState {
  readonly isOk: boolean;
  /** Not ok, and not because a master failed or slots have no owner: the server has no contact with a majority of the masters. */
  readonly isCutOff: boolean;
}

/**
 * Reads the answer to CLUSTER INFO.
 *
 * @throws LinkError where the answer has another shape
 */
export function readInfo(answer: unknown): ClusterState {
  const lines = typeof answer === 'string' ? answer.split(/\r?\n/) : [];
  const valueOf = (name: string) => lines.find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1);
  const state = valueOf('cluster_state');
  if (state === undefined) throw wrongShape('INFO');
  const isOk = state === 'ok';
  const isComplete = valueOf('cluster_slots_assigned') === String(SLOT_COUNT) && valueOf('cluster_slots_fail') === '0';
  return { isOk, isCutOff: !isOk && isComplete };
}

/** Where Redis says that a slot is instead: `MOVED 3999 127.0.0.1:6381`. */
export function readMoved(reason: string): { readonly slot: number; readonly server: Server } | undefined {
  const [, slot, server] = /^MOVED (\d+) (\S+:\d+)$/.exec(reason) ?? [];
  return slot === undefined || server === undefined || server.startsWith(':') ? undefined : { slot: Number(slot), server };
}

function wrongShape(question: string): LinkError {
  return new LinkError(`the answer to CLUSTER ${question} has an unexpected shape`);
}
