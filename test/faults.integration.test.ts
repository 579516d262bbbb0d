import { afterEach, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import { connect, type Client } from './support/client.js';
import { Ledger, isGap } from './support/ledger.js';
import { Proxy, type Swallow } from './support/proxy.js';
import { startRedis, type TestRedis } from './support/redis.js';
import { startService, type Service } from './support/service.js';

const PUBLISH_TIMEOUT_MS = 300;
const CANARY_INTERVAL_MS = 2000;
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
}

test('Redis killed and restarted, three times', async () => {
  const scene = await play();
  for (let nth = 1; nth <= 3; nth++) {
    const faultMs = Date.now();
    await scene.redis.stop();
    await everyPod(scene, (pod) => becomes(pod, 503));
    await scene.ledger.answered('unavailable');
    scene.redis = await serve(scene.redis.port);
    await recovered(scene, faultMs, nth);
  }
  await settled(scene);
});

test('Redis stopped, so that TCP lives and nothing answers', async () => {
  const scene = await play();
  const faultMs = Date.now();
  scene.redis.process.kill('SIGSTOP');
  await scene.ledger.answered('unconfirmed');
  expect(Date.now() - faultMs).toBeLessThan(PUBLISH_TIMEOUT_MS + SLACK_MS);
  await everyPod(scene, (pod) => becomes(pod, 503));
  await everyPod(scene, (pod) => pod.logged('broker connection lost', /subscription: .* not answered within 300 ms/));
  scene.redis.process.kill('SIGCONT');
  await recovered(scene, faultMs, 1);
  await settled(scene);
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
  await everyPod(scene, (pod) => pod.logged('broker connection lost', /subscription: /));
  await everyPod(scene, (pod) => becomes(pod, 503));
  for (const proxy of proxies) proxy.heal();
  await recovered(scene, faultMs, 1);
  await settled(scene);
});

test('a network that swallows what goes to and from the publishers alone: nobody missed anything, and nobody is told so', async () => {
  const proxies: Proxy[] = [];
  const scene = await play({ proxies });
  for (const proxy of proxies) proxy.swallow({ connections: 'publisher', bytes: 'all' });
  await scene.ledger.answered('unconfirmed');
  await scene.ledger.answered('unavailable');
  await everyPod(scene, (pod) => becomes(pod, 503));
  for (const proxy of proxies) proxy.heal();
  await everyPod(scene, (pod) => becomes(pod, 200));
  await settled(scene);
  expect(scene.ledger.gaps().flat()).toEqual([]);
});

test('an output buffer limit exceeded, so that Redis drops the subscriber', async () => {
  const scene = await play();
  await scene.redis.client.config('SET', 'client-output-buffer-limit', 'pubsub 1mb 1mb 1');
  const [pod] = scene.pods;
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
  const [onFirst, alsoOnFirst, onSecond] = scene.ledger.gaps();
  expect([onFirst?.length, alsoOnFirst?.length, onSecond?.length]).toEqual([1, 1, 0]);
  expect(Date.parse(String(onFirst?.[0]?.data['since']))).toBeLessThanOrEqual(faultMs);
});

test('CLIENT KILL of all connections', async () => {
  const scene = await play();
  const faultMs = Date.now();
  await killClients(scene.redis.client);
  await recovered(scene, faultMs, 1);
  await settled(scene);
});

test('more clients than Redis takes', async () => {
  const scene = await play();
  const faultMs = Date.now();
  await scene.redis.client.config('SET', 'maxclients', '1');
  await killClients(scene.redis.client);
  // Redis says why and closes at once, so that the words seldom get through.
  await everyPod(scene, (pod) => becomes(pod, 503));
  await scene.ledger.answered('unavailable');
  await scene.redis.client.config('SET', 'maxclients', '1000');
  await recovered(scene, faultMs, 1);
  await settled(scene);
});

test('a password that was changed is noticed with the next connection', async () => {
  const scene = await play({ password: 'old' });
  await scene.redis.client.config('SET', 'requirepass', 'new');
  const faultMs = Date.now();
  await killClients(scene.redis.client);
  await everyPod(scene, (pod) => becomes(pod, 503, 'WRONGPASS'));
  await scene.redis.client.config('SET', 'requirepass', 'old');
  await recovered(scene, faultMs, 1);
  await settled(scene);
});

test('a master that became a read-only replica', async () => {
  const scene = await play();
  const faultMs = Date.now();
  await scene.redis.client.replicaof('127.0.0.1', '1');
  await everyPod(scene, (pod) => becomes(pod, 503, 'not a master'));
  expect(Date.now() - faultMs).toBeLessThan(CANARY_INTERVAL_MS + PUBLISH_TIMEOUT_MS + SLACK_MS);
  await scene.ledger.answered('unavailable');
  await scene.redis.client.replicaof('NO', 'ONE');
  await recovered(scene, faultMs, 1);
  await settled(scene);
});

test('no fault at all, and a pod that is stopped for longer than anything may take: no gap, no error, no new connection', async () => {
  const scene = await play();
  const [pod] = scene.pods;
  pod.process.kill('SIGSTOP');
  // Stopped while the other pod sends three canaries: for more than 4 s.
  await canaries(scene, 1, 3);
  pod.process.kill('SIGCONT');
  await canaries(scene, 2, 2);
  await settled(scene, Infinity);
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
  const startPod = async () => {
    const proxy = proxies && (await Proxy.to(redis.port));
    if (proxy)
      ends.push(() => {
        proxy.stop();
      });
    if (proxy) proxies.push(proxy);
    const pod = await startService({
      REDIS_URL: redis.url.replace(String(redis.port), String(proxy?.port ?? redis.port)),
      PUBLISH_TIMEOUT_MS: String(PUBLISH_TIMEOUT_MS),
    });
    ends.push(() => pod.stop('SIGKILL'));
    await becomes(pod, 200);
    return pod;
  };
  const pods = await Promise.all([startPod(), startPod()] as const);
  const clients = await Promise.all([pods[0], pods[0], pods[1]].map(({ port }) => connect(port, '/ws?room=tea&room=milk')));
  const [sender, ...others] = clients as [Client, ...Client[]];
  const ledger = new Ledger('tea', sender, others);
  ends.push(() => {
    ledger.end();
  });
  ledger.start();
  return { redis, pods, clients, ledger };
}

async function serve(port?: number, password?: string): Promise<TestRedis> {
  const redis = await startRedis(port, [], password === undefined ? {} : { password });
  ends.push(() => redis.stop());
  return redis;
}

/** Every member was told the nth gap, which reaches back to before the fault, but not far; and the pods are ready. */
async function recovered({ pods, clients, ledger }: Scene, faultMs: number, nth: number): Promise<void> {
  await Promise.all(clients.map((client) => client.hearsMany(nth, isGap)));
  for (const gaps of ledger.gaps()) {
    const sinceMs = Date.parse(String(gaps[nth - 1]?.data['since']));
    expect(sinceMs).toBeLessThanOrEqual(faultMs);
    expect(faultMs - sinceMs).toBeLessThan(CANARY_INTERVAL_MS + PUBLISH_TIMEOUT_MS);
    expect(gaps).toHaveLength(nth);
  }
  await Promise.all(pods.map((pod) => becomes(pod, 200)));
}

/** The traffic ends, and nothing was lost in silence. */
async function settled({ pods, ledger }: Scene, waitMs = PUBLISH_TIMEOUT_MS + SLACK_MS): Promise<void> {
  await ledger.stop();
  ledger.check();
  expect(ledger.longestWaitMs).toBeLessThan(waitMs);
  for (const pod of pods) await pod.metricIs('chat_broker_up', 1);
}

async function everyPod({ pods }: Scene, act: (pod: Service) => Promise<unknown>): Promise<void> {
  await Promise.all(pods.map(act));
}

/** Asks /readyz until it answers so; meanwhile /healthz is well. */
async function becomes(pod: Service, status: number, reason = ''): Promise<void> {
  for (;;) {
    const [ready, health] = await Promise.all([pod.get('/readyz'), pod.get('/healthz')]);
    expect(health.status).toBe(200);
    if (ready.status === status && (await ready.text()).includes(reason)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
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
