import { once } from 'node:events';
import { afterEach, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import { WebSocket } from 'ws';
import { Client, connect, type Heard } from '../support/client.js';
import { Ledger, isGap } from '../support/ledger.js';
import { Proxy, type Swallow } from '../support/proxy.js';
import { clientFrame } from '../support/raw.js';
import { becomes, eventually } from '../support/ready.js';
import { freePort, startRedis, type TestRedis } from '../support/redis.js';
import { startService, type Service } from '../support/service.js';
import { swarm } from '../support/swarm.js';

const KB = 1024;
const MB = 1024 * KB;
const FINAL_TEXT = 0x81;
const PUBLISH_TIMEOUT_MS = 300;
const PUBLISH_WINDOW = 32;
const CANARY_INTERVAL_MS = 2000;
/** How far a gap may reach back: to the last canary, and by what a publish may take. */
const REACH_MS = CANARY_INTERVAL_MS + 1.25 * PUBLISH_TIMEOUT_MS;
/** A gap that another pod announced: it counts its age from a canary of its own. */
const ANNOUNCED_REACH_MS = 2 * REACH_MS;
/** Ready again so long after the fault at most: a wait of 2 s, and a connection that is not answered may have to be given up. */
const BACK_MS = 6000;
/** Garbage that is not collected yet, where thousands of messages of some KB come by. */
const GARBAGE_BYTES = 32 * MB;
/** What a pod may take more than before, where nothing queues and that is young. */
const FLAT_BYTES = 2 * GARBAGE_BYTES;
/** What two busy cores may add to any time. */
const SLACK_MS = 1000;

const ends: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});

/** Two pods on one Redis, a sender on the first, and two members of its room: one on each pod. */
interface Scene {
  redis: TestRedis;
  readonly pods: readonly [Service, Service];
  readonly clients: readonly Client[];
  readonly ledger: Ledger;
  /** What each pod took when all was well. */
  readonly bytesBefore: readonly number[];
}

test('Redis down when pods start: they serve, who connects waits for the welcome, and all is well by itself when Redis is up', async () => {
  const port = await freePort();
  const pods = await Promise.all([1, 2].map(() => startPod(`redis://127.0.0.1:${port}`)));
  const waiting = pods.map((pod) => new Client(new WebSocket(`ws://127.0.0.1:${pod.port}/ws/tea`)));
  await Promise.all(waiting.map(({ webSocket }) => once(webSocket, 'open')));
  for (const pod of pods) {
    await becomes(pod, 503, 'ECONNREFUSED');
    expect(await pod.metric('chat_broker_up')).toBe(0);
    expect(await pod.metric('chat_connections')).toBe(1);
  }
  expect(waiting.map(({ heard }) => heard)).toEqual([[], []]);
  const upMs = Date.now();
  await serve(port);
  await Promise.all(waiting.map((client) => client.hearsEvent('welcome')));
  for (const pod of pods) await becomes(pod, 200);
  expect(Date.now() - upMs).toBeLessThan(BACK_MS);
  const [ada, ben] = waiting as [Client, Client];
  ada.chat('hello');
  await Promise.all([ada.hearsChat('hello'), ben.hearsChat('hello')]);
  for (const { heard } of waiting) {
    expect(heard[0]?.data['event']).toBe('welcome');
    expect(heard.filter((message) => isGap(message) || message.type === 'error')).toEqual([]);
  }
  // What never worked was not lost.
  for (const pod of pods) expect(await pod.metric('chat_broker_reconnects_total')).toBe(0);
});

test('Redis killed and restarted, three times', async () => {
  const scene = await play();
  for (let nth = 1; nth <= 3; nth++) {
    const faultMs = Date.now();
    await scene.redis.stop();
    await noticed(scene, faultMs);
    await scene.ledger.answered('unavailable');
    scene.redis = await serve(scene.redis.port);
    await recovered(scene, faultMs, nth);
  }
  await settled(scene, { reconnects: 3 });
});

test('Redis stopped, so that TCP lives and nothing answers', async () => {
  const scene = await play();
  const faultMs = Date.now();
  scene.redis.process.kill('SIGSTOP');
  await scene.ledger.answered('unconfirmed');
  expect(Date.now() - faultMs).toBeLessThan(PUBLISH_TIMEOUT_MS + SLACK_MS);
  await noticed(scene, faultMs);
  await everyPod(scene, (pod) => pod.logged('Redis connection lost', /subscription: .* not answered within 300 ms/));
  scene.redis.process.kill('SIGCONT');
  await recovered(scene, faultMs, 1);
  await settled(scene, { reconnects: 1 });
});

test.each<Swallow>([
  { connections: 'all', bytes: 'all' },
  { connections: 'all', bytes: 'to Redis' },
  { connections: 'all', bytes: 'from Redis' },
  { connections: 'subscription', bytes: 'all' },
])('a network that swallows $bytes bytes of $connections connections', async (swallow) => {
  const proxies: Proxy[] = [];
  const scene = await play({ proxies });
  const faultMs = Date.now();
  for (const proxy of proxies) proxy.swallow(swallow);
  await everyPod(scene, (pod) => pod.logged('Redis connection lost', /subscription: /));
  await noticed(scene, faultMs);
  for (const proxy of proxies) proxy.heal();
  await recovered(scene, faultMs, 1);
  // What Redis accepted and did not bring back is told when the subscription is found to be dead.
  await settled(scene, { reconnects: 1, waitMs: CANARY_INTERVAL_MS + 2 * PUBLISH_TIMEOUT_MS + SLACK_MS });
});

test('a network that swallows what goes to and from the publishers alone: nobody missed anything, and nobody is told so', async () => {
  const proxies: Proxy[] = [];
  const scene = await play({ proxies });
  const faultMs = Date.now();
  for (const proxy of proxies) proxy.swallow({ connections: 'publisher', bytes: 'all' });
  await scene.ledger.answered('unconfirmed');
  await scene.ledger.answered('unavailable');
  await noticed(scene, faultMs);
  for (const proxy of proxies) proxy.heal();
  await everyPod(scene, (pod) => becomes(pod, 200));
  await settled(scene, { reconnects: 1 });
  expect(scene.ledger.gaps().flat()).toEqual([]);
});

test('an output buffer limit exceeded, so that Redis drops the subscriber', async () => {
  const scene = await play();
  await scene.redis.client.config('SET', 'client-output-buffer-limit', 'pubsub 1mb 1mb 1');
  const [pod, other] = scene.pods;
  pod.process.kill('SIGSTOP');
  const faultMs = Date.now();
  // More than the limit and what the kernel's buffers take; a global message of a type of its own reaches the members too.
  const filler = JSON.stringify({
    id: 'x',
    type: 'filler',
    from: 'test',
    data: 'x'.repeat(60_000),
    timestamp: new Date().toISOString(),
  });
  while ((await namesOf(scene.redis.client)).filter((name) => name.endsWith(':subscription')).length > 1) {
    await Promise.all(Array.from({ length: 20 }, () => scene.redis.client.publish('chat-api:global', filler)));
  }
  pod.process.kill('SIGCONT');
  await pod.metricIs('chat_broker_reconnects_total', 1);
  await everyPod(scene, (each) => becomes(each, 200));
  await settled(scene);
  expect(await other.metric('chat_broker_reconnects_total')).toBe(0);
  const [onFirst, alsoOnFirst, onSecond] = scene.ledger.gaps();
  expect([onFirst?.length, alsoOnFirst?.length, onSecond?.length]).toEqual([1, 1, 0]);
  for (const gap of [onFirst?.[0], alsoOnFirst?.[0]]) expectInReach(gap, faultMs, REACH_MS);
});

test('CLIENT KILL of all connections', async () => {
  const scene = await play();
  const faultMs = Date.now();
  await killClients(scene.redis.client);
  await recovered(scene, faultMs, 1);
  await settled(scene, { reconnects: 2 });
});

test('more clients than Redis takes', async () => {
  const scene = await play();
  const faultMs = Date.now();
  await scene.redis.client.config('SET', 'maxclients', '1');
  await killClients(scene.redis.client);
  // Redis says why and closes at once, so that the words seldom get through.
  await noticed(scene, faultMs);
  await scene.ledger.answered('unavailable');
  await scene.redis.client.config('SET', 'maxclients', '1000');
  await recovered(scene, faultMs, 1);
  await settled(scene, { reconnects: 2 });
});

test('a password that was changed is noticed with the next connection', async () => {
  const scene = await play({ password: 'old' });
  await scene.redis.client.config('SET', 'requirepass', 'new');
  const faultMs = Date.now();
  await killClients(scene.redis.client);
  await noticed(scene, faultMs, 'WRONGPASS');
  await scene.ledger.answered('unavailable');
  await scene.redis.client.config('SET', 'requirepass', 'old');
  await recovered(scene, faultMs, 1);
  await settled(scene, { reconnects: 2 });
});

test('a master that became a read-only replica', async () => {
  const scene = await play();
  const faultMs = Date.now();
  await scene.redis.client.replicaof('127.0.0.1', '1');
  await noticed(scene, faultMs, 'not a master');
  await scene.ledger.answered('unavailable');
  await scene.redis.client.replicaof('NO', 'ONE');
  await recovered(scene, faultMs, 1, scene.pods.length);
  await settled(scene, { reconnects: 2 });
});

test('a master that changed places with its replica while connections stay: what went to the old one is told', async () => {
  const proxies: Proxy[] = [];
  const scene = await play({ proxies });
  // Whichever pod finds it out later, its clients talk: the other pod's do not hear them any more.
  const others = await Promise.all([...scene.pods].reverse().map(({ port }) => connect(port, '/ws/cocoa')));
  const ledger = traffic('cocoa', others as [Client, ...Client[]]);
  const replica = await serve();
  await replica.client.replicaof('127.0.0.1', String(scene.redis.port));
  await eventually(async () => (await replica.client.info('replication')).includes('master_link_status:up'));
  const faultMs = Date.now();
  await replica.client.replicaof('NO', 'ONE');
  await scene.redis.client.replicaof('127.0.0.1', String(replica.port));
  for (const proxy of proxies) proxy.redisPort = replica.port;
  await Promise.all([scene.ledger, ledger].map((each) => each.gapsAre(1)));
  await everyPod(scene, (pod) => pod.metricIs('chat_broker_reconnects_total', 2));
  await everyPod(scene, (pod) => becomes(pod, 200));
  await settled(scene);
  await ledger.stop();
  ledger.check();
  for (const gap of [...scene.ledger.gaps(), ...ledger.gaps()].flat()) expectInReach(gap, faultMs, ANNOUNCED_REACH_MS);
});

test('an address that leads to another Redis, and only the subscriptions were lost: the publishers follow, and what they said meanwhile is told', async () => {
  const proxies: Proxy[] = [];
  const scene = await play({ proxies });
  const other = await serve();
  const faultMs = Date.now();
  for (const proxy of proxies) proxy.redisPort = other.port;
  await scene.redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await everyPod(scene, (pod) => pod.logged('Redis connection lost', /what is published does not arrive/));
  await everyPod(scene, (pod) => becomes(pod, 200));
  await settled(scene, { reconnects: 2 });
  for (const gap of scene.ledger.gaps().flat())
    expect(faultMs - Date.parse(String(gap.data['since']))).toBeLessThanOrEqual(REACH_MS);
  expect(await namesOf(other.client)).toHaveLength(4);
});

test('memory stays while fifty clients flood and Redis stops and dies, again and again', async () => {
  const FLOODERS = 50;
  const scene = await play();
  const [pod] = scene.pods;
  const content = 'x'.repeat(4 * KB);
  const frame = clientFrame(FINAL_TEXT, JSON.stringify({ type: 'chat', data: { content } }));
  const flooders = await swarm({ port: pod.port, size: FLOODERS, path: (nth) => `/ws/flood-${nth}` });
  ends.push(() => {
    for (const { socket } of flooders) socket.destroy();
  });
  await pod.metricIs('chat_connections', FLOODERS + 2);
  const memory: number[] = [];
  for (let nth = 1; nth <= 6; nth++) {
    const isStopped = nth % 2 === 1;
    if (isStopped) scene.redis.process.kill('SIGSTOP');
    else await scene.redis.stop();
    await becomes(pod, 503);
    // More than their windows, and for as long as several publishes may take.
    for (const { socket } of flooders) for (let said = 0; said < 2 * PUBLISH_WINDOW; said++) socket.write(frame);
    for (let waits = 0; waits < 100; waits++) await scene.ledger.answered('unavailable');
    memory.push(await memoryOf(pod));
    if (isStopped) scene.redis.process.kill('SIGCONT');
    else scene.redis = await serve(scene.redis.port);
    await everyPod(scene, (each) => becomes(each, 200));
  }
  // Each has its window on its way at most, and as much again is held; the rest is garbage.
  const windowBytes = FLOODERS * PUBLISH_WINDOW * content.length;
  const [first = NaN] = memory;
  expect((Math.max(...memory) - first) / MB).toBeLessThan((2 * windowBytes + GARBAGE_BYTES) / MB);
  await scene.ledger.stop();
  scene.ledger.check();
});

test('no fault at all, and a pod that is stopped for longer than anything may take: no gap, no error, no new connection', async () => {
  const scene = await play();
  const [pod] = scene.pods;
  pod.process.kill('SIGSTOP');
  // Stopped while the other pod sends three canaries: for more than 4 s.
  await canaries(scene, 1, 3);
  pod.process.kill('SIGCONT');
  await canaries(scene, 2, 2);
  await settled(scene, { waitMs: Infinity });
  expect(scene.ledger.gaps().flat()).toEqual([]);
  expect(scene.ledger.errors('unconfirmed') + scene.ledger.errors('unavailable')).toBe(0);
  for (const each of scene.pods) expect(await each.metric('chat_broker_reconnects_total')).toBe(0);
});

interface Setup {
  /** Where proxies are wanted, one for each pod is put here. */
  readonly proxies?: Proxy[];
  readonly password?: string;
}

async function play({ proxies, password }: Setup = {}): Promise<Scene> {
  const redis = await serve(undefined, password);
  const start = async () => {
    const proxy = proxies && (await Proxy.to(redis.port));
    if (proxy) {
      ends.push(() => {
        proxy.stop();
      });
      proxies.push(proxy);
    }
    const pod = await startPod(redis.url.replace(String(redis.port), String(proxy?.port ?? redis.port)));
    await becomes(pod, 200);
    return pod;
  };
  const pods = await Promise.all([start(), start()] as const);
  const clients = await Promise.all([pods[0], pods[0], pods[1]].map(({ port }) => connect(port, '/ws?room=tea&room=milk')));
  const ledger = traffic('tea', clients as [Client, ...Client[]]);
  return { redis, pods, clients, ledger, bytesBefore: await Promise.all(pods.map(memoryOf)) };
}

async function startPod(redisUrl: string): Promise<Service> {
  const pod = await startService({ REDIS_URL: redisUrl, PUBLISH_TIMEOUT_MS: String(PUBLISH_TIMEOUT_MS) });
  ends.push(() => pod.stop('SIGKILL'));
  return pod;
}

/** The first talks, and all of them note what they hear. */
function traffic(room: string, [sender, ...others]: readonly [Client, ...Client[]]): Ledger {
  const ledger = new Ledger(room, sender, others);
  ends.push(() => {
    ledger.end();
  });
  ledger.start();
  return ledger;
}

async function serve(port?: number, password?: string): Promise<TestRedis> {
  const redis = await startRedis(port, [], password === undefined ? {} : { password });
  ends.push(() => redis.stop());
  return redis;
}

/** The pods are not ready, in time, and their metric says the same. */
async function noticed(scene: Scene, faultMs: number, reason?: string): Promise<void> {
  await everyPod(scene, async (pod) => {
    await becomes(pod, 503, reason);
    expect(await pod.metric('chat_broker_up')).toBe(0);
  });
  expect(Date.now() - faultMs).toBeLessThan(CANARY_INTERVAL_MS + PUBLISH_TIMEOUT_MS + SLACK_MS);
}

/**
 * Every member was told the nth gap, which reaches back to before the fault, but not far; and the pods are ready. Each pod that was
 * left with a demoted master may have announced another gap.
 */
async function recovered({ pods, clients, ledger }: Scene, faultMs: number, nth: number, announcements = 0): Promise<void> {
  const mendedMs = Date.now();
  await Promise.all(clients.map((client) => client.hearsMany(nth, isGap)));
  await Promise.all(pods.map((pod) => becomes(pod, 200)));
  expect(Date.now() - mendedMs).toBeLessThan(BACK_MS);
  for (const gaps of ledger.gaps()) {
    expect(gaps.length).toBeGreaterThanOrEqual(nth);
    expect(gaps.length).toBeLessThanOrEqual(nth + announcements);
    for (const [at, gap] of gaps.slice(nth - 1).entries()) expectInReach(gap, faultMs, at === 0 ? REACH_MS : ANNOUNCED_REACH_MS);
  }
}

/** Before the fault, by a canary's interval and what it may take at most. */
function expectInReach(gap: Heard | undefined, faultMs: number, reachMs: number): void {
  const sinceMs = Date.parse(String(gap?.data['since']));
  expect(sinceMs).toBeLessThanOrEqual(faultMs);
  expect(faultMs - sinceMs).toBeLessThanOrEqual(reachMs);
}

interface Settled {
  /** The longest that a sender may have waited. */
  readonly waitMs?: number;
  /** So many connections of each pod were lost, at least. */
  readonly reconnects?: number;
}

/** The traffic ends, and nothing was lost in silence, nobody closed, nothing piled up. */
async function settled(
  { pods, ledger, bytesBefore }: Scene,
  { waitMs = PUBLISH_TIMEOUT_MS + SLACK_MS, reconnects = 0 }: Settled = {},
): Promise<void> {
  await ledger.stop();
  ledger.check();
  expect(ledger.longestWaitMs).toBeLessThan(waitMs);
  for (const [nth, pod] of pods.entries()) {
    await pod.metricIs('chat_broker_up', 1);
    expect(await pod.metric('chat_broker_reconnects_total')).toBeGreaterThanOrEqual(reconnects);
    expect(((await memoryOf(pod)) - (bytesBefore[nth] ?? NaN)) / MB).toBeLessThan(FLAT_BYTES / MB);
    const text = await (await pod.get('/metrics')).text();
    expect([...text.matchAll(/^chat_closes_total{.*} (\d+)$/gm)].filter(([, closes]) => closes !== '0')).toEqual([]);
  }
}

/** Resident, by its own word. */
function memoryOf(pod: Service): Promise<number> {
  return pod.metric('process_resident_memory_bytes');
}

async function everyPod({ pods }: Scene, act: (pod: Service) => Promise<unknown>): Promise<void> {
  await Promise.all(pods.map(act));
}

async function killClients(client: Redis): Promise<void> {
  for (const type of ['normal', 'pubsub']) await client.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes');
}

/** The names of the connections that pods have. */
async function namesOf(client: Redis): Promise<string[]> {
  return [...String(await client.client('LIST')).matchAll(/ name=(\S+)/g)].map(([, name]) => String(name));
}

/** Resolves when so many pods have sent so many canaries. */
async function canaries({ redis }: Scene, podCount: number, count: number): Promise<void> {
  const listener = redis.client.duplicate();
  ends.push(() => {
    listener.disconnect();
  });
  const heard = new Map<string, number>();
  const enough = new Promise<void>((resolve) => {
    listener.on('pmessage', (_, channel: string) => {
      heard.set(channel, (heard.get(channel) ?? 0) + 1);
      if ([...heard.values()].filter((times) => times >= count).length >= podCount) resolve();
    });
  });
  await listener.psubscribe('chat-api:canary:*');
  await enough;
  listener.disconnect();
}
