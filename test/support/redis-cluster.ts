import type { Redis } from 'ioredis';
import { retry, startRedis, type TestRedis } from './redis.js';

const SLOTS = 16_384;

/** Real masters of a Redis Cluster, and replicas of the first of them. */
export interface TestCluster {
  readonly masters: readonly TestRedis[];
  readonly replicas: readonly TestRedis[];
  /** `host:port` of each master. */
  readonly servers: readonly string[];
  /** Moves a slot from one master to another, as an operator would. */
  move(slot: number, from: TestRedis, to: TestRedis): Promise<void>;
  stop(): Promise<void>;
}

export interface TestClusterOptions {
  readonly replicas?: number;
  /** A server that does not answer for this long is taken to have failed. */
  readonly nodeTimeoutMs?: number;
}

/** A server of a cluster: its address, and a client. */
export interface ClusterServer {
  readonly address: string;
  readonly client: Redis;
}

export async function startCluster({ replicas = 0, nodeTimeoutMs = 1000 }: TestClusterOptions = {}): Promise<TestCluster> {
  const args = [
    ...['--cluster-enabled', 'yes', '--cluster-node-timeout', String(nodeTimeoutMs)],
    ...['--cluster-replica-validity-factor', '0'],
  ];
  const all = await Promise.all(Array.from({ length: 3 + replicas }, () => startRedis(undefined, args)));
  const members = all.map(({ port, client }) => ({ address: `127.0.0.1:${port}`, client }));
  await formCluster(members.slice(0, 3), members.slice(3));
  return {
    masters: all.slice(0, 3),
    replicas: all.slice(3),
    servers: members.slice(0, 3).map(({ address }) => address),
    move: async (slot, from, to) => {
      const [source, target] = [await idOf(from), await idOf(to)];
      await to.client.call('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', source);
      await from.client.call('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', target);
      for (const { client } of [to, from]) await client.call('CLUSTER', 'SETSLOT', String(slot), 'NODE', target);
    },
    stop: async () => {
      await Promise.all(all.map((server) => server.stop()));
    },
  };
}

/** Joins servers into a cluster: each master gets an equal share of the slots, and the first one the replicas. */
export async function formCluster(masters: readonly ClusterServer[], replicas: readonly ClusterServer[]): Promise<void> {
  const all = [...masters, ...replicas];
  const share = Math.ceil(SLOTS / masters.length);
  for (const [nth, { client }] of masters.entries()) {
    const last = Math.min((nth + 1) * share, SLOTS) - 1;
    await client.call('CLUSTER', 'ADDSLOTSRANGE', String(nth * share), String(last));
  }
  for (const [nth, { client }] of all.entries()) await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(nth + 1));
  const [first, ...others] = all;
  if (first === undefined) return;
  for (const { address } of others) await first.client.call('CLUSTER', 'MEET', ...address.split(':'));
  await Promise.all(all.map((server) => says(server, `cluster_known_nodes:${all.length}`)));
  const id = await idOf(first);
  // A server does not replicate one that it knows from gossip alone.
  for (const { client } of replicas) await retry(() => client.call('CLUSTER', 'REPLICATE', id));
  await Promise.all(all.map((server) => says(server, 'cluster_state:ok')));
}

/** Resolves when the server's CLUSTER INFO has that line. */
export async function says({ client }: Pick<ClusterServer, 'client'>, line: string): Promise<void> {
  await retry(async () => {
    if (!String(await client.call('CLUSTER', 'INFO')).includes(line)) throw new Error('not yet');
  });
}

async function idOf({ client }: Pick<ClusterServer, 'client'>): Promise<string> {
  return String(await client.call('CLUSTER', 'MYID'));
}
