import { startRedis, type TestRedis } from './redis.js';

const SLOT_COUNT = 16_384;

/** Real masters of a Redis Cluster, and as many replicas of the first of them as wanted. */
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
  /** After so long without an answer a server is taken for dead. */
  readonly nodeTimeoutMs?: number;
}

export async function startCluster({ replicas = 0, nodeTimeoutMs = 1000 }: TestClusterOptions = {}): Promise<TestCluster> {
  const args = [
    '--cluster-enabled',
    'yes',
    '--cluster-node-timeout',
    String(nodeTimeoutMs),
    '--cluster-replica-validity-factor',
    '0',
  ];
  const all = await Promise.all(Array.from({ length: 3 + replicas }, () => startRedis(undefined, args)));
  const masters = all.slice(0, 3);
  const share = Math.ceil(SLOT_COUNT / masters.length);
  await Promise.all(
    masters.map(({ client }, nth) =>
      client.call('CLUSTER', 'ADDSLOTSRANGE', String(nth * share), String(Math.min((nth + 1) * share, SLOT_COUNT) - 1)),
    ),
  );
  await Promise.all(all.map(({ client }, nth) => client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(nth + 1))));
  const [first, ...others] = all as [TestRedis, ...TestRedis[]];
  for (const { port } of others) await first.client.call('CLUSTER', 'MEET', '127.0.0.1', String(port));
  await Promise.all(all.map((server) => until(server, (info) => info.includes(`cluster_known_nodes:${all.length}`))));
  const firstId = await idOf(first);
  for (const { client } of all.slice(3)) await untilDone(() => client.call('CLUSTER', 'REPLICATE', firstId));
  await Promise.all(all.map((server) => until(server, (info) => info.includes('cluster_state:ok'))));
  return {
    masters,
    replicas: all.slice(3),
    servers: masters.map(({ port }) => `127.0.0.1:${port}`),
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

async function idOf({ client }: TestRedis): Promise<string> {
  return String(await client.call('CLUSTER', 'MYID'));
}

/** Asks until the server says so: it does not tell. */
async function until({ client }: TestRedis, fits: (info: string) => boolean): Promise<void> {
  while (!fits(String(await client.call('CLUSTER', 'INFO')))) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** A server does not replicate one that it has only heard of yet. */
async function untilDone(act: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await act();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
