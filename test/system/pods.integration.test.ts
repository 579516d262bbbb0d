import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { Client, type Heard } from '../support/client.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { startService, type Service } from '../support/service.js';

const INVALID = 'chat_broker_invalid_total';

let redis: TestRedis;
let one: Service;
let two: Service;
const connected: Client[] = [];

beforeAll(async () => {
  redis = await startRedis();
  [one, two] = await Promise.all([startPod(), startPod()]);
});

beforeEach(() => bothBecome(200));

afterEach(() => {
  for (const { webSocket } of connected.splice(0)) webSocket.terminate();
});

afterAll(async () => {
  await Promise.all([one.stop('SIGKILL'), two.stop('SIGKILL'), redis.stop()]);
});

test('members on both pods hear every message of a room once and in one order, senders included', async () => {
  const { clients, welcomes } = await sixClients('/ws/tea');
  const rounds = Array.from({ length: 200 }, (_, nth) => nth);
  for (const nth of rounds) for (const [who, client] of clients.entries()) client.chat(`${who}:${nth}`);
  await Promise.all(clients.map((client) => client.hearsMany(1200, isChat)));
  await fence(clients);
  const [first] = clients;
  const ids = first?.heard.filter(isChat).map(({ id }) => id);
  expect(new Set(ids).size).toBe(1201);
  for (const client of clients) expect(client.heard.filter(isChat)).toEqual(first?.heard.filter(isChat));
  for (const who of clients.keys()) {
    const own = first?.heard.filter(({ from }) => from === welcomes[who]).map(({ data }) => data['content']);
    expect(own?.filter((content) => content !== 'end')).toEqual(rounds.map((nth) => `${who}:${nth}`));
  }
});

test('a message that one pod takes and another is configured not to: members there get a gap in its place, and the next message', async () => {
  const small = await startPod({ MAX_MESSAGE_BYTES: '2048' });
  try {
    const [ada, ben] = await Promise.all([connect(one, '/ws/tea'), connect(small, '/ws/tea')]);
    const large = 'x'.repeat(10_000);
    ada.chat(large);
    ada.chat('small');
    await ada.hearsChat(large);
    await ben.hearsChat('small');
    const own = await ada.hearsChat(large);
    const [gap, ...others] = ben.heard.filter(({ type, data }) => type === 'chat' || data['event'] === 'gap');
    expect(gap?.data).toEqual({ event: 'gap', reason: 'too_large', since: own.timestamp });
    expect(others.map(({ data }) => data['content'])).toEqual(['small']);
    expect(await small.metric(INVALID)).toBe(1);
  } finally {
    await small.stop('SIGKILL');
  }
});

test('global messages reach everybody on both pods in one order, whichever rooms they are in', async () => {
  const clients = await Promise.all([
    connect(one, '/ws'),
    connect(two, '/ws'),
    connect(one, '/ws/tea'),
    connect(two, '/ws?room=tea&room=coffee'),
  ]);
  const [nowhere, alsoNowhere, inTea] = clients;
  for (let nth = 0; nth < 20; nth++) {
    nowhere.chat(`a ${nth}`);
    alsoNowhere.chat(`b ${nth}`);
    inTea.chat(`c ${nth}`, { room: '' });
  }
  await Promise.all(clients.map((client) => client.hearsMany(60, isChat)));
  for (const client of clients) {
    expect(client.chats).toEqual(nowhere.chats);
    expect(client.heard.filter((message) => isChat(message) && 'room' in message)).toEqual([]);
  }
});

test('rooms stay apart across pods; who is in several hears each', async () => {
  const [tea, coffee, both] = await Promise.all([
    connect(one, '/ws/tea'),
    connect(two, '/ws/coffee'),
    connect(two, '/ws?room=tea&room=coffee'),
  ]);
  for (let nth = 0; nth < 20; nth++) {
    tea.chat(`tea ${nth}`);
    coffee.chat(`coffee ${nth}`);
  }
  await Promise.all([tea.hearsChat('tea 19'), coffee.hearsChat('coffee 19'), both.hearsMany(40, isChat)]);
  expect(tea.chats).toEqual(numbered('tea'));
  expect(coffee.chats).toEqual(numbered('coffee'));
  expect(both.chats.filter((content) => String(content).startsWith('tea'))).toEqual(numbered('tea'));
  expect(both.chats.filter((content) => String(content).startsWith('coffee'))).toEqual(numbered('coffee'));
});

test('a notification that another service publishes to a room, or to global, is delivered as it is', async () => {
  const clients = await Promise.all([connect(one, '/ws/tea'), connect(two, '/ws/tea')]);
  const toRoom = envelope({ type: 'notification', from: 'billing', data: { text: 'paid — ✓', nested: [1, null, { a: 'b' }] } });
  const toAll = globalEnvelope({ type: 'notification', from: 'billing', data: 'a string', id: 'not a UUID' });
  await redis.client.publish('chat-api:room:tea', JSON.stringify(toRoom, undefined, 2));
  await redis.client.publish('chat-api:global', JSON.stringify(toAll));
  for (const client of clients) {
    const notifications = await client.hearsMany(2, ({ type }) => type === 'notification');
    expect(notifications.find(({ room }) => room === 'tea')).toEqual(toRoom);
    expect(notifications.find(({ room }) => room === undefined)).toEqual(toAll);
  }
});

test('garbage on the channels is dropped, counted, logged once per channel, and everybody goes on', async () => {
  const clients = await Promise.all([connect(one, '/ws?room=tea&room=milk'), connect(two, '/ws?room=tea&room=milk')]);
  await Promise.all(clients.map((client) => client.hearsMany(2, (message) => isOwnPresence(client, message))));
  const [forRoom, forAll] = [garbage('tea'), garbage('')];
  for (const payload of forRoom) await redis.client.publish('chat-api:room:tea', payload);
  for (const payload of forAll) await redis.client.publish('chat-api:global', payload);
  await redis.client.publish('chat-api:room:milk', 'the last');
  await Promise.all([one, two].map((pod) => pod.metricIs(INVALID, forRoom.length + forAll.length + 1)));
  await redis.client.publish('chat-api:room:tea', JSON.stringify(envelope({ type: 'notification' })));
  await redis.client.publish('chat-api:global', JSON.stringify(globalEnvelope({ type: 'notification' })));
  for (const client of clients) await client.hearsMany(2, ({ type }) => type === 'notification');
  for (const client of clients) {
    const others = client.heard.filter(({ type }) => type !== 'presence' && type !== 'notification');
    // Of what was wrong in its size alone, they are told.
    const tooLarge = { data: { event: 'gap', reason: 'too_large' } };
    expect(others).toMatchObject([{ data: { event: 'welcome' } }, tooLarge, tooLarge]);
    expect(client.heard.filter(({ type }) => type === 'notification')).toHaveLength(2);
  }
  for (const pod of [one, two]) {
    const complaints = () => pod.logs.filter(({ msg }) => msg === 'invalid publication dropped').map(({ room }) => room);
    await eventually(() => complaints().includes('milk'));
    expect(complaints()).toEqual(['tea', '', 'milk']);
  }
});

test('who comes and goes on one pod is told on the other', async () => {
  const ada = await connect(one, '/ws/tea');
  const ben = await connect(two, '/ws/tea');
  const benId = await idOf(ben);
  const about = (status: string, clientId: string) => (message: Heard) =>
    message.type === 'presence' && message.data['status'] === status && message.data['clientId'] === clientId;
  const online = await Promise.all([ada.hears(about('online', benId)), ben.hears(about('online', benId))]);
  for (const message of online) expect(message).toMatchObject({ room: 'tea', from: 'server' });
  await ben.close();
  await ada.hears(about('offline', benId));
  expect(ada.heard.filter(({ type, data }) => type === 'presence' && data['clientId'] === benId)).toHaveLength(2);
});

test('a pod that is killed does not disturb the members on another', async () => {
  const three = await startPod();
  const [ada, ben] = await Promise.all([connect(one, '/ws/tea'), connect(three, '/ws/tea')]);
  await three.stop('SIGKILL');
  expect((await ben.closed).code).toBe(1006);
  ada.chat('still here');
  await ada.hearsChat('still here');
  expect(ada.heard.filter(isGap)).toEqual([]);
});

test('Redis killed and restarted: each member is told one gap and stays, and readiness follows', async () => {
  const { clients } = await sixClients('/ws?room=tea&room=milk');
  const [first] = clients;
  await bothBecome(200);
  first?.chat('before', { room: 'tea' });
  await Promise.all(clients.map((client) => client.hearsChat('before')));
  const killedMs = Date.now();
  await redis.stop();
  await bothBecome(503);
  await Promise.all([one, two].map((pod) => isAlive(pod)));
  first?.send({ type: 'chat', room: 'tea', id: 'mine', data: { content: 'meanwhile' } });
  expect(await first?.hearsError('unavailable')).toMatchObject({ data: { ref: 'mine' } });
  redis = await startRedis(redis.port);
  await bothBecome(200);
  await Promise.all([one, two].map((pod) => isAlive(pod)));
  for (const client of clients) client.chat('after', { room: 'milk' });
  await Promise.all(clients.map((client) => client.hearsMany(6, ({ data }) => data['content'] === 'after')));
  for (const client of clients) {
    expect(client.chats).toEqual(['before', ...Array<string>(6).fill('after')]);
    const [gap, ...others] = client.heard.filter(isGap);
    expect(others).toEqual([]);
    expect(gap).toMatchObject({ from: 'server', data: { reason: 'subscription' } });
    expect(Date.parse(String(gap?.data['since']))).toBeLessThanOrEqual(killedMs);
    const order = client.heard.filter((message) => isChat(message) || isGap(message)).map(({ type }) => type);
    expect(order.slice(0, 3)).toEqual(['chat', 'system', 'chat']);
    expect(client.webSocket.readyState).toBe(WebSocket.OPEN);
  }
});

test('readyz says why Redis is missing', async () => {
  await redis.stop();
  await becomes(one, 503);
  const body = (await (await one.get('/readyz')).json()) as { error: { code: string; message: string } };
  expect(body.error.code).toBe('broker_down');
  expect(body.error.message).toMatch(/publisher|subscription/);
  redis = await startRedis(redis.port);
});

test('who connects while Redis is down is welcomed once it is back, and what was sent before is answered then, in order', async () => {
  await redis.stop();
  await bothBecome(503);
  const [ada, ben] = await Promise.all([open(one, '/ws/tea'), open(two, '/ws/tea')]);
  const ids = [1, 2, 3].map((nth) => `01890a5d-ac96-774b-bcce-b302099a800${nth}`);
  for (const id of ids) ada.chat(id, { id });
  await Promise.all([one, two].map((pod) => isAlive(pod)));
  expect([ada.heard, ben.heard]).toEqual([[], []]);
  redis = await startRedis(redis.port);
  await Promise.all([ada, ben].map((client) => client.hearsEvent('welcome')));
  for (const client of [ada, ben]) expect(client.heard[0]).toMatchObject({ data: { event: 'welcome', rooms: ['tea'] } });
  // Its subscription may be back before its publisher is: then they are unavailable, and that is said.
  const answers = await ada.hearsMany(3, (message) => isChat(message) || message.type === 'error');
  expect(answers.map(({ id, data }) => data['ref'] ?? id)).toEqual(ids);
  await bothBecome(200);
  ben.chat('hello');
  await Promise.all([ada.hearsChat('hello'), ben.hearsChat('hello')]);
});

test('a pod that starts before Redis does becomes ready when Redis is there', async () => {
  await redis.stop();
  const early = await startPod();
  try {
    await becomes(early, 503);
    await isAlive(early);
    redis = await startRedis(redis.port);
    await becomes(early, 200);
    const [ada, ben] = await Promise.all([connect(early, '/ws/tea'), connect(one, '/ws/tea')]);
    ada.chat('hello');
    await ben.hearsChat('hello');
    expect(ada.heard.filter(isGap)).toEqual([]);
  } finally {
    await early.stop('SIGKILL');
  }
});

function startPod(environment: Readonly<Record<string, string>> = {}): Promise<Service> {
  return startService({ REDIS_URL: redis.url, ...environment });
}

/** Three on each pod, with the ids that they were welcomed with. */
async function sixClients(path: string): Promise<{ clients: Client[]; welcomes: string[] }> {
  const clients = await Promise.all([one, two, one, two, one, two].map((pod) => connect(pod, path)));
  return { clients, welcomes: await Promise.all(clients.map(idOf)) };
}

async function idOf(client: Client): Promise<string> {
  return String((await client.hearsEvent('welcome')).data['clientId']);
}

/** Connects without waiting for the welcome. */
async function open({ port }: Service, path: string): Promise<Client> {
  const client = new Client(new WebSocket(`ws://127.0.0.1:${port}${path}`));
  connected.push(client);
  await once(client.webSocket, 'open');
  return client;
}

async function connect(pod: Service, path: string): Promise<Client> {
  const client = new Client(new WebSocket(`ws://127.0.0.1:${pod.port}${path}`));
  connected.push(client);
  await client.hearsEvent('welcome');
  return client;
}

/** What was said before has arrived at each once this has. */
async function fence(clients: readonly Client[]): Promise<void> {
  clients[0]?.chat('end');
  await Promise.all(clients.map((client) => client.hearsChat('end')));
}

function numbered(word: string): string[] {
  return Array.from({ length: 20 }, (_, nth) => `${word} ${nth}`);
}

function isChat({ type }: Heard): boolean {
  return type === 'chat';
}

function isGap({ type, data }: Heard): boolean {
  return type === 'system' && data['event'] === 'gap';
}

function isOwnPresence(client: Client, { type, data }: Heard): boolean {
  return type === 'presence' && data['clientId'] === client.heard[0]?.data['clientId'];
}

/** Asks /readyz until it answers so: a probe is all there is. */
async function becomes(pod: Service, status: number): Promise<void> {
  await eventually(async () => (await pod.get('/readyz')).status === status);
}

async function bothBecome(status: number): Promise<void> {
  await Promise.all([one, two].map((pod) => becomes(pod, status)));
}

async function eventually(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function isAlive(pod: Service): Promise<void> {
  expect((await pod.get('/healthz')).status).toBe(200);
}

function envelope(members: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    id: '01890a5d-ac96-774b-bcce-b302099a8057',
    type: 'chat',
    room: 'tea',
    from: 'other service',
    data: { content: 'garbage' },
    timestamp: '2026-01-02T03:04:05.678Z',
    ...members,
  };
}

function globalEnvelope(members: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return Object.fromEntries(Object.entries(envelope(members)).filter(([name]) => name !== 'room'));
}

/** What no client may ever see in a room, or in global where the room is empty; each but for one thing as it should be. */
function garbage(room: string): (string | Buffer)[] {
  const valid = room === '' ? globalEnvelope() : envelope({ room });
  const without = Object.keys(valid).map((name) => Object.fromEntries(Object.entries(valid).filter(([key]) => key !== name)));
  const wrong = [
    { extra: 1 },
    { room: room === '' ? 'tea' : 'milk' },
    { room: 5 },
    { type: 5 },
    { id: 5 },
    { from: null },
    { timestamp: 'yesterday' },
    { timestamp: 1767323045678 },
    ...['ping', 'pong', 'error', 'system'].map((type) => ({ type })),
    { data: { content: 'x'.repeat(65536 + 1024) } },
  ];
  const badUtf8 = Buffer.from(JSON.stringify({ ...valid, data: { content: 'a?b' } }));
  badUtf8[badUtf8.indexOf('?')] = 0xff;
  return [
    '',
    'not JSON',
    '"a string"',
    'null',
    '[]',
    `${JSON.stringify(valid)}x`,
    JSON.stringify([valid]),
    badUtf8,
    ...[...without, ...wrong.map((members) => ({ ...valid, ...members }))].map((value) => JSON.stringify(value)),
  ];
}
