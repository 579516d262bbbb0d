import { afterEach, expect, test } from '@jest/globals';
import type { Ledger } from '../support/ledger.js';
import { becomes, eventually } from '../support/ready.js';
import { Deployment } from '../support/redis-pods.js';
import { freePort, startRedis, type TestRedis } from '../support/redis.js';
import type { Service } from '../support/service.js';

const PUBLISH_TIMEOUT_MS = 300;
const CANARY_INTERVAL_MS = 2000;

const deployment = new Deployment();

afterEach(() => deployment.end());

test('pods follow a failover under traffic, and no message is lost without a gap or an error', async () => {
  const { master, replica, pods } = await deploy();
  const ledger = await traffic('tea', pods);
  const faultMs = Date.now();
  await master.stop();
  await ledger.answered('unavailable');
  await Promise.all(pods.map((pod) => pod.metricIs('chat_broker_up', 0)));
  await ledger.gapsAre(1);
  await Promise.all(pods.map((pod) => becomes(pod, 200)));
  await ledger.stop();
  ledger.check();
  // That of its pod, and one for each pod that announces publishes in doubt.
  for (const gaps of ledger.gaps()) expect(gaps.length).toBeLessThanOrEqual(1 + pods.length);
  expect(Math.max(...sincesOf(ledger))).toBeLessThanOrEqual(faultMs);
  expectInReach(ledger, faultMs);
  for (const pod of pods) expect(await pod.metric('chat_broker_reconnects_total')).toBeGreaterThanOrEqual(2);
  expect(await names(replica)).toEqual([
    'chat-api:publisher',
    'chat-api:publisher',
    'chat-api:subscription',
    'chat-api:subscription',
  ]);
});

test('pods follow a manual failover of a live master under traffic, and no message is lost without a gap or an error', async () => {
  const { sentinels, pods } = await deploy();
  // The pod that leaves the old master later publishes there what the other pod does not receive.
  const ledgers = await Promise.all([traffic('tea', pods), traffic('milk', [...pods].reverse())]);
  const faultMs = Date.now();
  await sentinels[0]?.client.call('SENTINEL', 'FAILOVER', 'primary');
  await Promise.all(ledgers.map((ledger) => ledger.gapsAre(1)));
  await Promise.all(pods.map((pod) => pod.metricIs('chat_broker_reconnects_total', 2)));
  await Promise.all(pods.map((pod) => becomes(pod, 200)));
  for (const ledger of ledgers) {
    await ledger.stop();
    ledger.check();
    expectInReach(ledger, faultMs);
  }
});

test('a pod replaces a sentinel that does not answer, and follows a failover afterwards', async () => {
  const { master, sentinels, pods } = await deploy();
  const ledger = await traffic('tea', pods);
  const connected = await Promise.all(sentinels.map(async (sentinel) => (await names(sentinel)).length > 0));
  const asked = sentinels[connected.indexOf(true)];
  expect(asked).toBeDefined();
  const stoppedMs = Date.now();
  asked?.process.kill('SIGSTOP');
  await Promise.all(pods.map((pod) => pod.logged('Redis connection lost', /SENTINEL was not answered within 300 ms/)));
  expect(ledger.gaps().flat()).toEqual([]);
  await master.stop();
  await ledger.gapsAre(1);
  await Promise.all(pods.map((pod) => becomes(pod, 200)));
  await ledger.stop();
  ledger.check();
  expectInReach(ledger, stoppedMs);
});

test('a pod leaves a master that the sentinels have replaced, though its ROLE is still master', async () => {
  const [first, second] = await Promise.all([serve(), serve()]);
  const sentinel = await watch(first);
  const pod = await startPod([sentinel]);
  expect(await names(first)).toEqual(['chat-api:publisher', 'chat-api:subscription']);
  await sentinel.client.call('SENTINEL', 'REMOVE', 'primary');
  await sentinel.client.call('SENTINEL', 'MONITOR', 'primary', '127.0.0.1', String(second.port), '1');
  await eventually(async () => (await names(second)).join() === 'chat-api:publisher,chat-api:subscription');
  await becomes(pod, 200);
  expect(await names(first)).toEqual([]);
});

test('a pod is not ready if the sentinels do not know the master, and readyz says so', async () => {
  const sentinel = await watch(await serve());
  const pod = await startPod([sentinel], { REDIS_SENTINEL_NAME: 'secondary' }, 503);
  await becomes(pod, 503, 'the sentinels know no master called secondary');
});

test('a pod is not ready until a sentinel answers, and readyz says so', async () => {
  const port = await freePort();
  const redis = await serve();
  const pod = await startPod([{ port }], {}, 503);
  await becomes(pod, 503, 'no sentinel answers: ');
  await watch(redis, port);
  await becomes(pod, 200);
});

/** A master, its replica, three sentinels with a quorum of two, and two pods. */
async function deploy() {
  const master = await serve(undefined, ['--masterauth', 'secret']);
  const replica = await serve(undefined, ['--masterauth', 'secret', '--replicaof', '127.0.0.1', String(master.port)]);
  await eventually(async () => (await replica.client.info('replication')).includes('master_link_status:up'));
  const sentinels = await Promise.all([1, 2, 3].map(() => watch(master)));
  for (const { client } of sentinels) {
    await eventually(async () => {
      const about = String(await client.call('SENTINEL', 'MASTER', 'primary'));
      return about.includes('num-slaves,1') && about.includes('num-other-sentinels,2');
    });
  }
  const pods = await Promise.all([startPod(sentinels), startPod(sentinels)] as const);
  return { master, replica, sentinels, pods };
}

/** A client of the first pod sends to a member there and to two at the second pod. */
function traffic(room: string, [one, two]: readonly Service[]): Promise<Ledger> {
  if (one === undefined || two === undefined) throw new Error('there are not two pods');
  return deployment.traffic(room, [one, one, two, two]);
}

/** No gap reaches back further than the interval of canaries and the longest publish; one that a pod announced, twice as far. */
function expectInReach(ledger: Ledger, wrongMs: number): void {
  const reachMs = 2 * (CANARY_INTERVAL_MS + 1.25 * PUBLISH_TIMEOUT_MS);
  for (const sinceMs of sincesOf(ledger)) expect(wrongMs - sinceMs).toBeLessThanOrEqual(reachMs);
}

function sincesOf(ledger: Ledger): number[] {
  return ledger
    .gaps()
    .flat()
    .map(({ data }) => Date.parse(String(data['since'])));
}

async function serve(port?: number, args?: readonly string[]): Promise<TestRedis> {
  const redis = await startRedis(port, args, { password: 'secret' });
  deployment.onEnd(() => redis.stop());
  // The sentinels have no such user.
  await redis.client.call('ACL', 'SETUSER', 'chat', 'on', '>s3cret', '+@all', '&chat-api:*');
  return redis;
}

/** A sentinel with a quorum of two, without a password. */
async function watch({ port: masterPort }: TestRedis, port?: number): Promise<TestRedis> {
  const sentinel = await startRedis(port, [], {
    sentinel: [
      `sentinel monitor primary 127.0.0.1 ${masterPort} 2`,
      'sentinel auth-pass primary secret',
      'sentinel down-after-milliseconds primary 500',
      'sentinel failover-timeout primary 3000',
    ],
  });
  deployment.onEnd(() => sentinel.stop());
  return sentinel;
}

function startPod(
  sentinels: readonly { readonly port: number }[],
  environment: Readonly<Record<string, string>> = {},
  status = 200,
): Promise<Service> {
  const base = {
    REDIS_URL: 'redis://chat:s3cret@unused',
    REDIS_SENTINELS: sentinels.map(({ port }) => `127.0.0.1:${port}`).join(),
    REDIS_SENTINEL_NAME: 'primary',
    PUBLISH_TIMEOUT_MS: String(PUBLISH_TIMEOUT_MS),
  };
  return deployment.startPod({ ...base, ...environment }, status);
}

/** The names of pods' connections to a server. By a client of its own, since a promotion cuts every connection. */
async function names({ client }: TestRedis): Promise<string[]> {
  const fresh = client.duplicate();
  const list = String(await fresh.client('LIST'));
  fresh.disconnect();
  return [...list.matchAll(/ name=(chat-api:\S+)/g)].map(([, name]) => String(name)).sort();
}
