import { afterEach, expect, test } from '@jest/globals';
import { slotOf } from '../../src/redis/cluster/slots.js';
import type { Ledger } from '../support/ledger.js';
import { becomes } from '../support/ready.js';
import { startCluster, type TestCluster } from '../support/redis-cluster.js';
import { Deployment } from '../support/redis-pods.js';
import type { TestRedis } from '../support/redis.js';
import type { Service } from '../support/service.js';

const PUBLISH_TIMEOUT_MS = 300;
/** How far a gap may reach back: the interval of canaries, and the longest publish. */
const REACH_MS = 2000 + 1.25 * PUBLISH_TIMEOUT_MS;

const deployment = new Deployment();

afterEach(() => deployment.end());

/** The rules of docs/operations.md. */
const ACL =
  'resetchannels &chat-api:* -@all +client|setname +role +cluster|info +cluster|nodes +cluster|slots +spublish +ssubscribe +sunsubscribe';

/** Two pods on a cluster, with traffic in a room of its first server and in one of its second. */
interface Scene {
  readonly cluster: TestCluster;
  readonly pods: readonly Service[];
  readonly ledgers: readonly [Ledger, Ledger];
  readonly rooms: readonly [string, string];
}

test('slots that move under traffic cause gaps in their rooms alone, and no message is lost without a gap or an error', async () => {
  const { cluster, pods, ledgers, rooms } = await play(0);
  const [moved, stays] = ledgers;
  const [from, to] = cluster.masters as [TestRedis, TestRedis];
  const slot = slotOf(`chat-api:room:${rooms[0]}`);
  for (const [source, target] of [[from, to] as const, [to, from] as const]) {
    const faultMs = Date.now();
    // A move under traffic can cause a second gap: the notice of a pod that published to the server that owned the slot before.
    const before = Math.max(...moved.gaps().map(({ length }) => length));
    await cluster.move(slot, source, target);
    await moved.gapsAre(before + 1);
    for (const gaps of moved.gaps()) {
      const sinceMs = Date.parse(String(gaps[before]?.data['since']));
      expect(sinceMs).toBeLessThanOrEqual(faultMs);
      expect(faultMs - sinceMs).toBeLessThanOrEqual(REACH_MS);
    }
  }
  for (const ledger of ledgers) {
    await ledger.stop();
    ledger.check();
  }
  expect(stays.gaps().flat()).toEqual([]);
  expect(stays.errors('unavailable') + stays.errors('unconfirmed')).toBe(0);
  for (const pod of pods) expect(await pod.metric('chat_broker_reconnects_total')).toBe(0);
});

test('pods follow the promotion of a replica under traffic, and rooms of other masters are not affected', async () => {
  const { cluster, pods, ledgers } = await play(1);
  const [lost, stays] = ledgers;
  const [master] = cluster.masters as [TestRedis];
  const faultMs = Date.now();
  await master.stop();
  await Promise.all(pods.map((pod) => becomes(pod, 503)));
  await lost.answered('unavailable');
  await lost.gapsAre(1);
  await Promise.all(pods.map((pod) => becomes(pod, 200)));
  for (const ledger of ledgers) {
    await ledger.stop();
    ledger.check();
  }
  for (const gaps of lost.gaps()) {
    const sinceMs = Date.parse(String(gaps[0]?.data['since']));
    expect(sinceMs).toBeLessThanOrEqual(faultMs);
    expect(faultMs - sinceMs).toBeLessThanOrEqual(REACH_MS);
    expect(gaps).toHaveLength(1);
  }
  expect(stays.gaps().flat()).toEqual([]);
  expect(stays.errors('unavailable') + stays.errors('unconfirmed')).toBe(0);
});

async function play(replicas: number): Promise<Scene> {
  const cluster = await startCluster({ replicas });
  deployment.onEnd(() => cluster.stop());
  for (const { client } of [...cluster.masters, ...cluster.replicas]) {
    await client.call('ACL', 'SETUSER', 'chat', 'on', '>secret', ...ACL.split(' '));
  }
  const environment = {
    REDIS_URL: 'redis://chat:secret@unused',
    REDIS_CLUSTER_NODES: cluster.servers.join(),
    PUBLISH_TIMEOUT_MS: String(PUBLISH_TIMEOUT_MS),
  };
  const pods = await Promise.all([deployment.startPod(environment), deployment.startPod(environment)]);
  const [one, two] = pods;
  const rooms = [roomAt(0), roomAt(1)] as const;
  const traffic = (room: string) => deployment.traffic(room, [one, one, two]);
  return { cluster, pods, rooms, ledgers: await Promise.all([traffic(rooms[0]), traffic(rooms[1])]) };
}

/** A room whose slot is at the nth of three servers; that of the global room is at the second. */
function roomAt(nth: number): string {
  const third = (channel: string) => Math.floor(slotOf(channel) / Math.ceil(16_384 / 3));
  const found = Array.from({ length: 100 }, (_, at) => `room ${at}`).find((room) => third(`chat-api:room:${room}`) === nth);
  if (found === undefined) throw new Error('none of a hundred rooms has its slot there');
  return found;
}
