import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { afterEach, expect, test } from '@jest/globals';
import type { Heard } from '../support/client.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { ReturningClient, account, chatsOf, isEvent } from '../support/returning-client.js';
import { startService, type Service } from '../support/service.js';

const CLIENTS = 12;
/** From one message of each client to the next. */
const PACE_MS = 20;
/** A client that would wait five seconds waits a tenth of one. */
const WAIT_FACTOR = 0.02;

const ends: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});

/** Pods on one Redis, clients who all talk in one room and come back, and what Redis carried, in its order. */
interface Scene {
  readonly redis: TestRedis;
  /** Where clients connect. */
  readonly pods: Service[];
  readonly clients: readonly ReturningClient[];
  readonly published: readonly Heard[];
  /** Ends the traffic with one last message, which everybody hears. */
  readonly settle: () => Promise<void>;
}

test('a rolling restart of two pods under traffic: who was told comes back, and nothing is missing that was not told', async () => {
  const { redis, pods, clients, published, settle } = await play();
  await all(clients, ({ life }) => life !== undefined && chatsOf(life).length > 100);
  for (const [at, pod] of [...pods.entries()]) {
    // Until its successor serves, clients who ask at this one are refused and back off.
    expect(await pod.stop('SIGTERM')).toBe(0);
    pods[at] = await startPod(redis);
  }
  const served = pods.map(({ port }) => port);
  await all(clients, ({ life }) => life !== undefined && served.includes(life.port) && chatsOf(life).length > 100);
  await settle();
  const { sent, echoed, told, delivered } = account(published, clients);
  expect(echoed + told).toBe(sent);
  expect(echoed).toBeGreaterThan(sent / 2);
  expect(delivered).toBeGreaterThan(sent * (CLIENTS / 2));
  const lives = clients.flatMap((client) => client.lives);
  expect(lives.length).toBeGreaterThanOrEqual(2 * CLIENTS);
  const over = lives.filter(({ code }) => code !== undefined);
  // Everybody was asked to leave and told when to come back; and to none of them was it a fault.
  expect(over.map(({ code, heard }) => [code, heard.filter((message) => isEvent(message, 'shutdown')).length])).toEqual(
    over.map(() => [1001, 1]),
  );
  expect(lives.flatMap(({ heard }) => heard.filter((message) => isFault(message)))).toEqual([]);
});

test('a pod killed under traffic: the other misses nothing and says nothing wrong, and takes in those who come back', async () => {
  const { redis, pods, clients, published, settle } = await play();
  const [survivor, victim] = pods as [Service, Service];
  await all(clients, ({ life }) => life !== undefined && chatsOf(life).length > 100);
  const [stay, go] = [survivor, victim].map(({ port }) => clients.filter(({ life }) => life?.port === port));
  expect(stay?.length).toBe(CLIENTS / 2);
  await victim.stop('SIGKILL');
  pods.splice(1);
  await all(go ?? [], ({ lives }) => chatsOf(lives[1] ?? { heard: [] }).length > 100);
  await settle();
  account(published, clients);
  expect(stay?.map(({ lives }) => lives.map(({ code }) => code))).toEqual(stay?.map(() => [undefined]));
  expect(go?.map(({ lives }) => lives.map(({ code }) => code))).toEqual(go?.map(() => [1006, undefined]));
  const newcomers = go?.map(({ life }) => String(life?.heard[0]?.data['clientId'])).sort();
  for (const { lives } of stay ?? []) {
    const heard = lives.flatMap((life) => life.heard);
    expect(heard.filter((message) => isFault(message))).toEqual([]);
    expect(heard.filter(({ type, data }) => type === 'presence' && data['status'] === 'offline')).toEqual([]);
    const online = heard.filter(({ type }) => type === 'presence').map(({ data }) => String(data['clientId']));
    expect(online.filter((id) => newcomers?.includes(id)).sort()).toEqual(newcomers);
  }
  expect(await counted(survivor)).toEqual({ connections: CLIENTS, rooms: 1, closes: 0, reconnects: 0, up: 1 });
  for (const client of clients) client.leave();
  await survivor.metricIs('chat_connections', 0);
  await survivor.metricIs('chat_rooms', 0);
  // One listener is the test's own.
  while (Number((await redis.client.pubsub('NUMSUB', 'chat-api:room:tea'))[1]) > 1) await survivor.metric('chat_rooms');
  expect(await counted(survivor)).toEqual({ connections: 0, rooms: 0, closes: CLIENTS, reconnects: 0, up: 1 });
});

async function play(): Promise<Scene> {
  const redis = await startRedis();
  ends.push(() => redis.stop());
  const { published, carried } = await listenIn(redis);
  const pods = await Promise.all([startPod(redis), startPod(redis)]);
  let asked = 0;
  const clients = Array.from({ length: CLIENTS }, () => {
    const port = () => (pods[asked++ % pods.length] ?? fail('no pod')).port;
    return new ReturningClient({ port, path: '/ws/tea', waitFactor: WAIT_FACTOR, newId: randomUUID });
  });
  const traffic = setInterval(() => {
    for (const client of clients) client.chat();
  }, PACE_MS);
  ends.push(() => {
    clearInterval(traffic);
    for (const client of clients) client.leave();
  });
  const settle = async () => {
    clearInterval(traffic);
    const last = clients[0]?.chat();
    expect(last).toBeDefined();
    await all(clients, ({ life }) => life?.heard.some(({ id }) => id === last) === true);
    await carried(({ id }) => id === last);
  };
  return { redis, pods, clients, published, settle };
}

async function startPod({ url }: TestRedis): Promise<Service> {
  const pod = await startService({ REDIS_URL: url });
  ends.push(() => pod.stop('SIGKILL'));
  await pod.metricIs('chat_broker_up', 1);
  return pod;
}

/** What is said in the room from now on, as Redis carries it. */
async function listenIn({ client }: TestRedis) {
  const published: Heard[] = [];
  const said = new EventEmitter();
  const listener = client.duplicate();
  ends.push(() => {
    listener.disconnect();
  });
  listener.on('message', (_, payload: string) => {
    const message = JSON.parse(payload) as Heard;
    if (message.type === 'chat') published.push(message);
    said.emit('message');
  });
  await listener.subscribe('chat-api:room:tea');
  const carried = async (fits: (message: Heard) => boolean) => {
    while (!published.some(fits)) await once(said, 'message');
  };
  return { published, carried };
}

async function counted(pod: Service) {
  const text = await (await pod.get('/metrics')).text();
  const sum = (name: string) =>
    [...text.matchAll(new RegExp(`^${name}(?:{.*})? (\\d+)$`, 'gm'))].reduce((total, [, value]) => total + Number(value), 0);
  return {
    connections: sum('chat_connections'),
    rooms: sum('chat_rooms'),
    closes: sum('chat_closes_total'),
    reconnects: sum('chat_broker_reconnects_total'),
    up: sum('chat_broker_up'),
  };
}

async function all(clients: readonly ReturningClient[], isSo: (client: ReturningClient) => boolean): Promise<void> {
  await Promise.all(clients.map((client) => client.until(isSo)));
}

/** Neither is said where nothing failed that concerns the client. */
function isFault(message: Heard): boolean {
  return message.type === 'error' || isEvent(message, 'gap');
}

function fail(what: string): never {
  throw new Error(what);
}
