import { createConnection, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from '@jest/globals';
import { slotOf } from '../../src/redis/cluster/slots.js';
import type { Ledger } from '../support/ledger.js';
import { becomes } from '../support/ready.js';
import { says } from '../support/redis-cluster.js';
import { Deployment } from '../support/redis-pods.js';
import { freePort } from '../support/redis.js';
import type { Service } from '../support/service.js';
import { isMaster, startSplitCluster, whyNoNamespaces, type SplitCluster } from '../support/split-cluster.js';

const IN_NAMESPACE = fileURLToPath(new URL('../support/in-namespace.mjs', import.meta.url));
const PUBLISH_TIMEOUT_MS = 500;
const NODE_TIMEOUT_MS = 1000;
/** The master that is cut off reports that the cluster is ok for much longer than the others need to replace it. */
const ALONE_TIMEOUT_MS = 6000;

/** The limit for the last message to arrive. */
const LAST_WORDS_MS = 5000;

const deployment = new Deployment();

afterEach(() => deployment.end());

const missing = whyNoNamespaces();

test('messages that went to a master without its cluster bus are covered by gaps', async () => {
  if (missing !== undefined) throw new Error(missing);
  const cluster = await startSplitCluster(NODE_TIMEOUT_MS, ALONE_TIMEOUT_MS);
  deployment.onEnd(() => cluster.stop());
  const { masters, replica } = cluster;
  // Each pod asks another server first.
  const pods = [await startPod(cluster, [0, 1, 2]), await startPod(cluster, [1, 2, 0])] as const;
  const [one, two] = roomsAtFirst();
  const ledgers = [await traffic(one, pods), await traffic(two, [pods[1], pods[0]])];
  cluster.cut();
  await isMaster(replica);
  expect(String(await masters[0].client.call('CLUSTER', 'INFO'))).toContain('cluster_state:ok');
  await says(masters[0], 'cluster_state:fail');
  await Promise.all(pods.map((pod) => becomes(pod, 200)));
  for (const ledger of ledgers) {
    await within(LAST_WORDS_MS, ledger.stop());
    ledger.check();
    for (const gaps of ledger.gaps()) expect(gaps.length).toBeGreaterThanOrEqual(1);
  }
  cluster.join();
  await says(masters[0], 'cluster_state:ok');
  await Promise.all(pods.map((pod) => becomes(pod, 200)));
});

test('a pod that is cut off together with a master refuses publishes, and all clients get gaps when it is back', async () => {
  if (missing !== undefined) throw new Error(missing);
  const cluster = await startSplitCluster(NODE_TIMEOUT_MS, ALONE_TIMEOUT_MS);
  deployment.onEnd(() => cluster.stop());
  const { masters, replica } = cluster;
  const [cutOff, other] = [await startPodBeside(cluster), await startPod(cluster, [1, 2, 0])] as const;
  const [one, two] = roomsAtFirst();
  const ledgers = [await traffic(one, [cutOff, other]), await traffic(two, [other, cutOff])] as const;
  cluster.cut();
  await isMaster(replica);
  expect(String(await masters[0].client.call('CLUSTER', 'INFO'))).toContain('cluster_state:ok');
  await says(masters[0], 'cluster_state:fail');
  await Promise.all([becomes(cutOff, 503), becomes(other, 200), ledgers[0].answered('unavailable')]);
  const late = await cutOff.get('/readyz');
  expect(late.status).toBe(503);
  cluster.join();
  await becomes(cutOff, 200);
  for (const ledger of ledgers) {
    await within(LAST_WORDS_MS, ledger.stop());
    ledger.check();
    for (const gaps of ledger.gaps()) expect(gaps.length).toBeGreaterThanOrEqual(1);
  }
});

/** Resolves when it is done, or after a time. */
async function within(ms: number, done: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([done, late]);
  clearTimeout(timer);
}

function startPod({ masters }: SplitCluster, order: readonly number[]): Promise<Service> {
  return deployment.startPod({
    REDIS_URL: 'redis://unused',
    REDIS_CLUSTER_NODES: order.map((nth) => masters[nth]?.address).join(),
    PUBLISH_TIMEOUT_MS: String(PUBLISH_TIMEOUT_MS),
  });
}

/** A pod in the namespace of the first master, which reaches the others through the connection that is cut. */
async function startPodBeside({ masters, alone }: SplitCluster): Promise<Service> {
  const port = await freePort();
  const here = createServer((socket) => {
    const there = createConnection(port, alone.address);
    for (const [from, to] of [[socket, there] as const, [there, socket] as const]) {
      from.on('error', () => to.destroy());
      from.pipe(to);
    }
  }).listen(port, '127.0.0.1');
  deployment.onEnd(() => here.close());
  return deployment.startPod(
    {
      REDIS_URL: 'redis://unused',
      REDIS_CLUSTER_NODES: masters.map(({ address }) => address).join(),
      PUBLISH_TIMEOUT_MS: String(PUBLISH_TIMEOUT_MS),
      HOST: '0.0.0.0',
      PORT: String(port),
      NAMESPACE: alone.name,
      PATH: process.env['PATH'] ?? '',
    },
    200,
    IN_NAMESPACE,
  );
}

/** A client of the first pod sends to a member at each. */
function traffic(room: string, [one, two]: readonly [Service, Service]): Promise<Ledger> {
  return deployment.traffic(room, [one, one, two]);
}

/** Two rooms whose slots are at the first master. */
function roomsAtFirst(): readonly [string, string] {
  const rooms = Array.from({ length: 100 }, (_, nth) => `room-${nth}`);
  const [one, two] = rooms.filter((room) => slotOf(`chat-api:room:${room}`) < Math.ceil(16_384 / 3));
  if (one === undefined || two === undefined) throw new Error('fewer than two of a hundred rooms have their slot there');
  return [one, two];
}
