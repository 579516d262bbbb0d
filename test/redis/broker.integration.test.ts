import { afterEach, expect, test } from '@jest/globals';
import { redisBroker } from '../../src/redis/broker.js';
import type { Broker } from '../../src/broker/broker.js';
import { silentLogger } from '../../src/runtime/log.js';
import { noMetrics } from '../../src/runtime/metrics.js';
import { GLOBAL_ROOM } from '../../src/protocol/protocol.js';
import { Listener } from '../../src/testing/broker-listener.js';
import { brokerContract, type ContractSetup } from '../../src/testing/brokerContract.js';
import { isRedisAddress, readRedisUrl } from '../../src/redis/address.js';
import type { Runtime } from '../../src/runtime/runtime.js';
import { nodeRuntime } from '../../src/runtime/node-runtime.js';
import { channelsBut, freePort, startRedis, type TestRedis } from '../support/redis.js';

const PREFIX = 'test';
const TIMEOUT_MS = 500;

const listeners: Listener[] = [];
const servers: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  for (const listener of listeners.splice(0)) listener.end();
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

for (const { name, run } of brokerContract(createPods)) test(`a Redis broker: ${name}`, run);

test('each room has a channel of its own, and so has global', async () => {
  const redis = await serve();
  const pod = listen(redis);
  await Promise.all(['tea', 'a b:*', GLOBAL_ROOM].map((room) => pod.join(room)));
  expect((await channels(redis)).sort()).toEqual(['test:global', 'test:room:a b:*', 'test:room:tea']);
});

test('what any client publishes to a channel comes, whatever its bytes; other channels are of no concern', async () => {
  const redis = await serve();
  const pod = listen(redis);
  await pod.join('tea');
  const bytes = Buffer.from([0, 255, 13, 10, 128]);
  for (const channel of ['other:room:tea', 'test:room:coffee', 'test:room:teas', 'test:global', 'test:room:tea']) {
    await redis.client.publish(channel, bytes);
  }
  await pod.publish('tea', 'end');
  await pod.hears('tea', 'end');
  const came = pod.noticed.flatMap((one) => (one.kind === 'publication' ? [one] : []));
  expect(came.map(({ room, payload }) => [room, payload.toString('hex')])).toEqual([
    ['tea', bytes.toString('hex')],
    ['tea', Buffer.from('end').toString('hex')],
  ]);
});

test('the channel of a room that was left is unsubscribed from', async () => {
  const redis = await serve();
  const pod = listen(redis);
  await Promise.all([pod.join('tea'), pod.join('coffee')]);
  pod.leave('tea');
  await eventually(async () => (await channels(redis)).length === 1);
  expect(await channels(redis)).toEqual(['test:room:coffee']);
});

test('a Redis that is down at the start: the status says why, and is up when Redis is', async () => {
  const port = await freePort();
  const pod = listen({ url: `redis://127.0.0.1:${port}` });
  await pod.until('why it is down', () => reasonOf(pod).includes('ECONNREFUSED'));
  const joined = pod.join('tea');
  await serve(port);
  await joined;
  await pod.until('the status up', () => pod.isWhole);
  await pod.publish('tea', 'hello');
  await pod.hears('tea', 'hello');
  expect(gaps(pod)).toEqual([]);
});

test('while Redis is down a publish is unavailable at once', async () => {
  const redis = await serve();
  const pod = listen(redis);
  await pod.until('the status up', () => pod.isWhole);
  await redis.stop();
  await pod.until('the publisher down', () => reasonOf(pod).startsWith('publisher: '));
  const fromMs = Date.now();
  for (let nth = 0; nth < 100; nth++) await expect(pod.publish('tea', 'hello')).rejects.toMatchObject({ code: 'unavailable' });
  expect(Date.now() - fromMs).toBeLessThan(TIMEOUT_MS);
});

test('a Redis killed and restarted: one gap since before the kill, and all of 1,200 rooms are back, each message once', async () => {
  const redis = await serve();
  const pod = listen(redis);
  const rooms = Array.from({ length: 1200 }, (_, nth) => `room ${nth}`);
  await Promise.all(rooms.map((room) => pod.join(room)));
  const [killedMs, seen] = [Date.now(), pod.noticed.length];
  await redis.stop();
  const again = await serve(redis.port);
  await pod.until('everything back', () => gaps(pod).length > 0 && pod.isWhole);
  expect(gaps(pod)).toHaveLength(1);
  expect(gaps(pod)[0]?.sinceMs).toBeLessThanOrEqual(killedMs);
  expect((await channels(again)).sort()).toEqual(rooms.map((room) => `test:room:${room}`).sort());
  const told = pod.noticed.slice(seen).filter(({ kind }) => kind !== 'status');
  expect(told.findIndex(({ kind }) => kind === 'gap')).toBe(1200);
  expect(told).toHaveLength(2401);
  await Promise.all(rooms.map((room) => pod.publish(room, room)));
  await Promise.all(rooms.map((room) => pod.publish(room, 'end')));
  await Promise.all(rooms.map((room) => pod.hears(room, 'end')));
  expect(rooms.filter((room) => pod.texts(room).join() !== `${room},end`)).toEqual([]);
});

test('a Redis that stops answering: the publish is unconfirmed, the next are unavailable and stay unsaid when it goes on', async () => {
  const redis = await serve();
  const [pod, other] = [listen(redis), listen(redis)];
  await Promise.all([pod.join('tea'), other.join('tea')]);
  await pod.publish('tea', 'before');
  redis.process.kill('SIGSTOP');
  const fromMs = Date.now();
  const unanswered = ['first', 'second'].map((text) => pod.publish('tea', text));
  for (const publish of unanswered) await expect(publish).rejects.toMatchObject({ code: 'unconfirmed' });
  const tookMs = Date.now() - fromMs;
  expect(tookMs).toBeGreaterThanOrEqual(TIMEOUT_MS - 10);
  expect(tookMs).toBeLessThan(TIMEOUT_MS + 500);
  expect(reasonOf(pod)).toContain('not confirmed within 500 ms');
  for (const text of ['third', 'fourth']) await expect(pod.publish('tea', text)).rejects.toMatchObject({ code: 'unavailable' });
  redis.process.kill('SIGCONT');
  await pod.until('everything back', () => pod.isWhole);
  await pod.publish('tea', 'end');
  await Promise.all([pod.hears('tea', 'end'), other.hears('tea', 'end')]);
  const said = other.texts('tea').filter((text) => text !== 'first' && text !== 'second');
  expect(said).toEqual(['before', 'end']);
});

test('a subscribed connection that is killed: lost, gap, confirmed, and everything comes once', async () => {
  const redis = await serve();
  const pod = listen(redis);
  await pod.join('tea');
  await pod.until('the status up', () => pod.isWhole);
  await pod.publish('tea', 'before');
  await pod.hears('tea', 'before');
  await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await pod.until('everything back', () => gaps(pod).length > 0 && pod.isWhole);
  await pod.publish('tea', 'after');
  await pod.hears('tea', 'after');
  const told = pod.noticed.filter(({ kind }) => kind !== 'status');
  expect(told).toMatchObject([
    { kind: 'confirmation', confirmed: true },
    { kind: 'publication', payload: Buffer.from('before') },
    { kind: 'confirmation', confirmed: false },
    { kind: 'gap' },
    { kind: 'confirmation', confirmed: true },
    { kind: 'publication', payload: Buffer.from('after') },
  ]);
});

test('a publishing connection that is killed is replaced, and no subscription is lost', async () => {
  const redis = await serve();
  const pod = listen(redis);
  await pod.join('tea');
  await pod.until('the status up', () => pod.isWhole);
  await redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal');
  await pod.until('the status down', () => !pod.isWhole);
  expect(reasonOf(pod)).toMatch(/^publisher: /);
  await pod.until('the status up again', () => pod.isWhole);
  await pod.publish('tea', 'hello');
  await pod.hears('tea', 'hello');
  expect(pod.texts('tea')).toEqual(['hello']);
  expect(gaps(pod)).toEqual([]);
});

test('a publishing connection that worked comes back as soon the eighth time as the first', async () => {
  const redis = await serve();
  const pod = listen(redis, { ...nodeRuntime, random: () => 1 });
  await pod.until('the status up', () => pod.isWhole);
  let tookMs = 0;
  for (let nth = 1; nth <= 8; nth++) {
    await pod.publish('tea', 'it works');
    const killedMs = Date.now();
    await redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal');
    await pod.until('the status down', () => !pod.isWhole);
    await pod.until('the status up', () => pod.isWhole);
    tookMs = Date.now() - killedMs;
  }
  expect(tookMs).toBeLessThan(1000);
});

test('attempts to connect that failed leave no timer behind', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
  const before = timers();
  const pod = listen({ url: `redis://127.0.0.1:${await freePort()}` });
  await pod.until('five attempts', () => pod.noticed.length > 5);
  pod.end();
  // Each of the two connections may have an attempt under way.
  expect(timers()).toBeLessThanOrEqual(before + 2);
});

test('every publish under way when Redis dies is settled as unconfirmed or accepted', async () => {
  const redis = await serve();
  const pod = listen(redis);
  await pod.join('tea');
  await pod.until('the status up', () => pod.isWhole);
  const publishes = Array.from({ length: 500 }, (_, nth) => pod.publish('tea', `${nth} ${'x'.repeat(10_000)}`));
  const outcomes = Promise.allSettled(publishes);
  await redis.stop();
  for (const outcome of await outcomes) {
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'unconfirmed' });
  }
});

test('a replica is refused, and the reason says so', async () => {
  const master = await serve();
  const replica = await serve(undefined, ['--replicaof', '127.0.0.1', String(master.port)]);
  const pod = listen(replica);
  await pod.until('that it is a replica', () => /slave|replica/.test(reasonOf(pod)));
  expect(reasonOf(pod)).toMatch(/not a master/);
  await expect(pod.publish('tea', 'hello')).rejects.toMatchObject({ code: 'unavailable' });
  await replica.client.replicaof('NO', 'ONE');
  await pod.until('the promoted server', () => pod.isWhole);
});

test('a user who may not use the channels: the status says so, until it is allowed', async () => {
  const redis = await serve();
  await redis.client.acl('SETUSER', 'pod', 'on', '>secret', '+@all', 'allkeys', 'resetchannels');
  const pod = listen({ url: `redis://pod:secret@127.0.0.1:${redis.port}` });
  const joined = pod.join('tea');
  await pod.until('why it is down', () => reasonOf(pod).includes('NOPERM'));
  await expect(pod.publish('tea', 'hello')).rejects.toMatchObject({ code: 'unavailable' });
  await redis.client.acl('SETUSER', 'pod', '&test:*');
  await joined;
  await pod.until('the status up', () => pod.isWhole);
});

test('a user who may not publish: the status says so, and stays down until it is allowed', async () => {
  const redis = await serve();
  await redis.client.acl('SETUSER', 'pod', 'on', '>secret', '+@all', '-publish', 'allkeys', '&test:*');
  const pod = listen({ url: `redis://pod:secret@127.0.0.1:${redis.port}` });
  await pod.join('tea');
  await pod.until('why it is down', () => reasonOf(pod).startsWith('canary: NOPERM'));
  await expect(pod.publish('tea', 'hello')).rejects.toMatchObject({ code: 'unavailable' });
  await redis.client.acl('SETUSER', 'pod', '+publish');
  await pod.until('the status up', () => pod.isWhole);
  expect(gaps(pod)).toEqual([]);
});

test('a wrong password: the status says so', async () => {
  const redis = await serve();
  const pod = listen({ url: `redis://nobody:wrong@127.0.0.1:${redis.port}` });
  await pod.until('why it is down', () => reasonOf(pod).includes('WRONGPASS'));
});

test('two connections are kept, and leaving closes both', async () => {
  const redis = await serve();
  const pod = listen(redis);
  await pod.join('tea');
  await pod.until('the status up', () => pod.isWhole);
  expect((await connectionsOf(redis)).sort()).toEqual(['test:publisher', 'test:subscription']);
  pod.end();
  await eventually(async () => (await connectionsOf(redis)).length === 0);
  await expect(pod.publish('tea', 'hello')).rejects.toMatchObject({ code: 'unavailable' });
});

async function createPods(): Promise<ContractSetup> {
  let redis = await startRedis();
  const { port } = redis;
  return {
    pods: [brokerAt(redis.url), brokerAt(redis.url)],
    outage: {
      break: () => redis.stop(),
      mend: async () => {
        redis = await startRedis(port);
      },
    },
    refuse: async (room) => {
      await redis.client.acl('SETUSER', 'default', ...channelsBut(room, PREFIX));
    },
    end: () => redis.stop(),
  };
}

function brokerAt(url: string, runtime = nodeRuntime): Broker {
  const address = readRedisUrl(url);
  if (!isRedisAddress(address)) throw new Error(`${url} is no URL of a Redis`);
  return redisBroker({
    address,
    channelPrefix: PREFIX,
    timeoutMs: TIMEOUT_MS,
    runtime,
    metrics: noMetrics,
    log: silentLogger,
  });
}

function listen({ url }: { readonly url: string }, runtime?: Runtime): Listener {
  const listener = new Listener(brokerAt(url, runtime));
  listeners.push(listener);
  return listener;
}

async function serve(port?: number, args?: readonly string[]): Promise<TestRedis> {
  const server = await startRedis(port, args);
  servers.push(server);
  return server;
}

function gaps(pod: Listener) {
  return pod.noticed.filter((one) => one.kind === 'gap');
}

/** Why the status is down; empty while it is up. */
function reasonOf({ status }: Listener): string {
  return status === undefined || status.up ? '' : status.reason;
}

/** The channels of rooms that somebody is subscribed to. */
async function channels({ client }: TestRedis): Promise<string[]> {
  const [rooms, global] = [await client.pubsub('CHANNELS', 'test:room:*'), await client.pubsub('CHANNELS', 'test:global')];
  return [...rooms, ...global].map(String);
}

/** The names of the connections that pods have. */
async function connectionsOf({ client }: TestRedis): Promise<string[]> {
  const list = String(await client.client('LIST'));
  return [...list.matchAll(/ name=(test:\S+)/g)].map(([, name]) => String(name));
}

/** Asks until it is so: Redis does not tell. */
async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
}
