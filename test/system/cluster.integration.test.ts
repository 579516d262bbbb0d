import { afterEach, expect, test } from '@jest/globals';
import { slotOf } from '../../src/redis/cluster/slots.js';
import { connect, type Client } from '../support/client.js';
import { Ledger } from '../support/ledger.js';
import { becomes } from '../support/ready.js';
import { startCluster, type TestCluster } from '../support/redis-cluster.js';
import type { TestRedis } from '../support/redis.js';
import { startService, type Service } from '../support/service.js';

const PUBLISH_TIMEOUT_MS = 300;
/** From a canary to the next, and what one may take. */
const REACH_MS = 2000 + 1.25 * PUBLISH_TIMEOUT_MS;

const ends: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});

/** What docs/operations.md tells operators to allow. */
const ACL =
  'resetchannels &chat-api:* -@all +client|setname +role +cluster|info +cluster|nodes +cluster|slots +spublish +ssubscribe +sunsubscribe';

/** Two pods on a cluster; traffic in a room of its first server, and in one of its second. */
interface Scene {
  readonly cluster: TestCluster;
  readonly pods: readonly Service[];
  readonly ledgers: readonly [Ledger, Ledger];
  readonly rooms: readonly [string, string];
}

test('slots that are moved to and fro under traffic: gaps in their rooms alone, and nothing is lost in silence', async () => {
  const { cluster, pods, ledgers, rooms } = await play(0);
  const [moved, stays] = ledgers;
  const [from, to] = cluster.masters as [TestRedis, TestRedis];
  const slot = slotOf(`chat-api:room:${rooms[0]}`);
  for (const [source, target] of [[from, to] as const, [to, from] as const]) {
    const faultMs = Date.now();
    // A move under traffic can bring a second gap: a pod's notice of what it had published to the server that owned the slot before.
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

test('a master killed and its replica promoted under traffic: both pods follow, and the other rooms notice nothing', async () => {
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
  ends.push(() => cluster.stop());
  for (const { client } of [...cluster.masters, ...cluster.replicas]) {
    await client.call('ACL', 'SETUSER', 'chat', 'on', '>secret', ...ACL.split(' '));
  }
  const startPod = async () => {
    const pod = await startService({
      REDIS_URL: 'redis://chat:secret@unused',
      REDIS_CLUSTER_NODES: cluster.servers.join(),
      PUBLISH_TIMEOUT_MS: String(PUBLISH_TIMEOUT_MS),
    });
    ends.push(() => pod.stop('SIGKILL'));
    await becomes(pod, 200);
    return pod;
  };
  const pods = await Promise.all([startPod(), startPod()] as const);
  const rooms = [0, 1].map((nth) => roomAt(nth)) as [string, string];
  const ledgers = (await Promise.all(rooms.map((room) => traffic(room, pods)))) as [Ledger, Ledger];
  return { cluster, pods, rooms, ledgers };
}

/** A sender on the first pod and a member on each. */
async function traffic(room: string, [one, two]: readonly [Service, Service]): Promise<Ledger> {
  const clients = await Promise.all([one, one, two].map(({ port }) => connect(port, `/ws/${encodeURIComponent(room)}`)));
  const [sender, ...others] = clients as [Client, ...Client[]];
  const ledger = new Ledger(room, sender, others);
  ends.push(() => {
    ledger.end();
  });
  ledger.start();
  return ledger;
}

/** A room whose channel the nth of three servers has; the global one's is at the second. */
function roomAt(nth: number): string {
  const third = (channel: string) => Math.floor(slotOf(channel) / Math.ceil(16_384 / 3));
  const found = Array.from({ length: 100 }, (_, at) => `room ${at}`).find((room) => third(`chat-api:room:${room}`) === nth);
  if (found === undefined) throw new Error('none of a hundred rooms is there');
  return found;
}
