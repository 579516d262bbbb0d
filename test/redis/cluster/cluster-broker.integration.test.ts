import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { redisClusterBroker } from '../../../src/redis/cluster/cluster-broker.js';
import type { Broker } from '../../../src/broker/broker.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { noMetrics } from '../../../src/runtime/metrics.js';
import { GLOBAL_ROOM } from '../../../src/protocol/protocol.js';
import { slotOf } from '../../../src/redis/cluster/slots.js';
import { Listener } from '../../../src/testing/broker-listener.js';
import { brokerContract, type ContractSetup } from '../../../src/testing/brokerContract.js';
import { nodeRuntime } from '../../../src/runtime/node-runtime.js';
import { channelsBut, type TestRedis } from '../../support/redis.js';
import { startCluster, type TestCluster } from '../../support/redis-cluster.js';

const TIMEOUT_MS = 500;

let cluster: TestCluster;
let prefixes = 0;
const listeners: Listener[] = [];

beforeAll(async () => {
  cluster = await startCluster();
});

afterEach(() => {
  for (const listener of listeners.splice(0)) listener.end();
});

afterAll(() => cluster.stop());

for (const { name, run } of brokerContract(createPods)) test(`a Redis Cluster broker: ${name}`, run);

test('each room is subscribed to at the server that owns its slot, and nowhere else', async () => {
  const pod = listen();
  const rooms = Array.from({ length: 30 }, (_, nth) => `room ${nth}`);
  await Promise.all([...rooms, GLOBAL_ROOM].map((room) => pod.join(room)));
  const found = await Promise.all(cluster.masters.map(({ client }) => client.call('PUBSUB', 'SHARDCHANNELS', `${prefix()}:*`)));
  const channels = (found as string[][]).map((some) => some.filter((channel) => !channel.includes(':canary:')));
  expect(channels.flat().sort()).toEqual([...rooms.map((room) => `${prefix()}:room:${room}`), `${prefix()}:global`].sort());
  for (const [nth, some] of channels.entries()) {
    for (const channel of some) expect(ownerOf(channel)).toBe(cluster.masters[nth]);
  }
});

test('a connection to one server that is lost: a gap in its rooms, and none in those of the others', async () => {
  const pod = listen();
  const rooms = Array.from({ length: 30 }, (_, nth) => `room ${nth}`);
  await Promise.all(rooms.map((room) => pod.join(room)));
  await pod.until('the status up', () => pod.isWhole);
  const [server] = cluster.masters as [TestRedis];
  await server.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await pod.until('everything back', () => gaps(pod).length > 0 && pod.isWhole);
  const there = rooms.filter((room) => ownerOf(`${prefix()}:room:${room}`) === server);
  expect(there.length).toBeGreaterThan(0);
  expect(gaps(pod).map(({ rooms }) => [...(rooms ?? [])].sort())).toEqual([there.sort()]);
});

test('a slot that is moved while its room is live: a gap in it alone, and everything comes once', async () => {
  const pod = listen();
  const [from, to] = cluster.masters as [TestRedis, TestRedis];
  const [moved, stays] = roomsAt(from) as [string, string];
  await Promise.all([pod.join(moved), pod.join(stays)]);
  await pod.until('the status up', () => pod.isWhole);
  for (const [source, target] of [
    [from, to],
    [to, from],
  ] as const) {
    const seen = gaps(pod).length;
    await pod.publish(moved, `before ${seen}`);
    await pod.hears(moved, `before ${seen}`);
    const movedMs = Date.now();
    await cluster.move(slotOf(`${prefix()}:room:${moved}`), source, target);
    await pod.until('the room back', () => gaps(pod).length > seen && pod.isWhole);
    expect(gaps(pod).at(-1)?.sinceMs).toBeLessThanOrEqual(movedMs);
    expect(
      gaps(pod)
        .slice(seen)
        .map(({ rooms }) => [...(rooms ?? [])]),
    ).toEqual([[moved]]);
    await pod.publish(moved, `after ${seen}`);
    await pod.publish(stays, `after ${seen}`);
    await Promise.all([pod.hears(moved, `after ${seen}`), pod.hears(stays, `after ${seen}`)]);
  }
  expect(pod.texts(moved)).toEqual(['before 0', 'after 0', 'before 1', 'after 1']);
});

test('a room whose slot was moved unnoticed is joined and published to where it is now', async () => {
  const [from, to] = cluster.masters as [TestRedis, TestRedis];
  const pod = listen();
  const [room] = roomsAt(from) as [string];
  await pod.until('the status up', () => pod.isWhole);
  const slot = slotOf(`${prefix()}:room:${room}`);
  await cluster.move(slot, from, to);
  try {
    await expect(pod.publish(room, 'refused')).rejects.toMatchObject({ code: 'unavailable' });
    await pod.join(room);
    await pod.publish(room, 'hello');
    await pod.hears(room, 'hello');
    expect(pod.texts(room)).toEqual(['hello']);
    expect(gaps(pod)).toEqual([]);
  } finally {
    await cluster.move(slot, to, from);
  }
});

function createPods(): Promise<ContractSetup> {
  prefixes += 1;
  return Promise.resolve({
    pods: [broker(), broker()],
    outage: {
      break: async () => {
        await Promise.all(cluster.masters.map(({ client }) => client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')));
      },
      mend: () => Promise.resolve(),
    },
    refuse: (room) => permit(...channelsBut(room, prefix())),
    end: () => permit('allchannels'),
  });
}

/** Changes what the user of the pods may hear, on all servers. */
async function permit(...rules: readonly string[]): Promise<void> {
  await Promise.all(cluster.masters.map(({ client }) => client.acl('SETUSER', 'default', ...rules)));
}

function broker(): Broker {
  return redisClusterBroker({
    address: { host: 'unused', port: 6379, tls: false },
    servers: cluster.servers,
    channelPrefix: prefix(),
    timeoutMs: TIMEOUT_MS,
    runtime: nodeRuntime,
    metrics: noMetrics,
    log: silentLogger,
  });
}

function listen(): Listener {
  prefixes += 1;
  const listener = new Listener(broker());
  listeners.push(listener);
  return listener;
}

function prefix(): string {
  return `test${prefixes}`;
}

function ownerOf(channel: string): TestRedis | undefined {
  return cluster.masters[Math.floor(slotOf(channel) / Math.ceil(16_384 / cluster.masters.length))];
}

/** Rooms whose channels are at a server. */
function roomsAt(server: TestRedis): string[] {
  return Array.from({ length: 100 }, (_, nth) => `room ${nth}`).filter((room) => ownerOf(`${prefix()}:room:${room}`) === server);
}

function gaps(pod: Listener) {
  return pod.noticed.filter((one) => one.kind === 'gap');
}
