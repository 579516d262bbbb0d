import { afterEach, expect, test } from '@jest/globals';
import { connect, type Client } from './support/client.js';
import { Ledger } from './support/ledger.js';
import { freePort, startRedis, type TestRedis } from './support/redis.js';
import { startService, type Service } from './support/service.js';

const PUBLISH_TIMEOUT_MS = 300;

const ends: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});

test('a failover of the master under traffic: both pods follow, and nothing is lost in silence', async () => {
  const master = await serve(undefined, ['--masterauth', 'secret']);
  const replica = await serve(undefined, ['--masterauth', 'secret', '--replicaof', '127.0.0.1', String(master.port)]);
  await eventually(async () => (await replica.client.info('replication')).includes('master_link_status:up'));
  const sentinels = await Promise.all([1, 2, 3].map(() => watch(master)));
  const pods = await Promise.all([startPod(sentinels), startPod(sentinels)] as const);
  const clients = await Promise.all([pods[0], pods[1], pods[1]].map(({ port }) => connect(port, '/ws/tea')));
  const [sender, ...others] = clients as [Client, ...Client[]];
  const ledger = new Ledger('tea', sender, others);
  ends.push(() => {
    ledger.end();
  });
  ledger.start();

  const faultMs = Date.now();
  await master.stop();
  await ledger.answered('unavailable');
  await Promise.all(clients.map((client) => client.hearsEvent('gap')));
  await Promise.all(pods.map((pod) => becomes(pod, 200)));
  await ledger.stop();
  ledger.check();
  for (const gaps of ledger.gaps()) {
    expect(gaps).toHaveLength(1);
    expect(Date.parse(String(gaps[0]?.data['since']))).toBeLessThanOrEqual(faultMs);
  }
  expect(await names(replica)).toEqual([
    'chat-api:publisher',
    'chat-api:publisher',
    'chat-api:subscription',
    'chat-api:subscription',
  ]);
});

test('a master that the sentinels replaced while it lives is left, though it says that it is a master', async () => {
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

test('sentinels that know no such master: not ready, and readyz says why', async () => {
  const sentinel = await watch(await serve());
  const pod = await startPod([sentinel], { REDIS_SENTINEL_NAME: 'secondary' }, 503);
  await becomes(pod, 503, 'the sentinels know no master called secondary');
});

test('no sentinel at all: not ready, and readyz says why; ready when there is one', async () => {
  const port = await freePort();
  const redis = await serve();
  const pod = await startPod([{ port }], {}, 503);
  await becomes(pod, 503, 'no sentinel answers: ');
  await watch(redis, port);
  await becomes(pod, 200);
});

async function serve(port?: number, args?: readonly string[]): Promise<TestRedis> {
  const redis = await startRedis(port, args, { password: 'secret' });
  ends.push(() => redis.stop());
  // The sentinels do not know this user.
  await redis.client.call('ACL', 'SETUSER', 'chat', 'on', '>s3cret', '+@all', '&chat-api:*');
  return redis;
}

/** A sentinel without a password of its own, which two of three have to agree with. */
async function watch({ port: masterPort }: TestRedis, port?: number): Promise<TestRedis> {
  const sentinel = await startRedis(port, [], {
    sentinel: [
      `sentinel monitor primary 127.0.0.1 ${masterPort} 2`,
      'sentinel auth-pass primary secret',
      'sentinel down-after-milliseconds primary 500',
      'sentinel failover-timeout primary 3000',
    ],
  });
  ends.push(() => sentinel.stop());
  return sentinel;
}

async function startPod(
  sentinels: readonly { readonly port: number }[],
  environment: Readonly<Record<string, string>> = {},
  status = 200,
): Promise<Service> {
  const pod = await startService({
    REDIS_URL: 'redis://chat:s3cret@unused',
    REDIS_SENTINELS: sentinels.map(({ port }) => `127.0.0.1:${port}`).join(),
    REDIS_SENTINEL_NAME: 'primary',
    PUBLISH_TIMEOUT_MS: String(PUBLISH_TIMEOUT_MS),
    ...environment,
  });
  ends.push(() => pod.stop('SIGKILL'));
  await becomes(pod, status);
  return pod;
}

/** The names of the connections that pods have at a server; a promotion cuts every connection, also the test's. */
async function names({ client }: TestRedis): Promise<string[]> {
  const fresh = client.duplicate();
  const list = String(await fresh.client('LIST'));
  fresh.disconnect();
  return [...list.matchAll(/ name=(chat-api:\S+)/g)].map(([, name]) => String(name)).sort();
}

async function becomes(pod: Service, status: number, reason = ''): Promise<void> {
  await eventually(async () => {
    const ready = await pod.get('/readyz');
    return ready.status === status && (await ready.text()).includes(reason);
  });
}

async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20));
}
