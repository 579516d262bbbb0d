import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { connect, refused, type Client, type Heard } from '../support/client.js';
import { messagesIn, rawConnect, rawUpgrade, upgradeRequest } from '../support/raw.js';
import { freePort, startRedis, type TestRedis } from '../support/redis.js';
import { runService, startService, type Ended, type Service } from '../support/service.js';

type Environment = Readonly<Record<string, string>>;

const services: Service[] = [];
const redises: TestRedis[] = [];

afterEach(async () => {
  // A stopped Redis can be killed, but a service that waits for it must go first.
  await Promise.all(services.splice(0).map((service) => service.stop('SIGKILL')));
  await Promise.all(redises.splice(0).map((redis) => redis.stop()));
});

async function start(environment: Environment): Promise<Service> {
  const service = await startService(environment);
  services.push(service);
  return service;
}

async function withRedis(environment: Environment = {}): Promise<{ redis: TestRedis; service: Service }> {
  const redis = await startRedis();
  redises.push(redis);
  const service = await start({ REDIS_URL: redis.url, ...environment });
  await service.logged('ready');
  return { redis, service };
}

async function welcomeOf(service: Service, path = '/ws'): Promise<{ client: Client; data: Record<string, unknown> }> {
  const client = await connect(service.port, path);
  const { data } = await client.hearsEvent('welcome');
  return { client, data };
}

/** Resolves with the milliseconds that something took. */
async function elapsed(during: Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await during;
  return performance.now() - startedMs;
}

/** Starts it where it cannot listen. */
async function onTakenPort(environment: Environment): Promise<Ended> {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const ended = await runService([], { REDIS_URL: 'memory:', HOST: '127.0.0.1', PORT: String(port), ...environment });
  taken.close();
  return ended;
}

async function channels({ client }: TestRedis): Promise<string[]> {
  return (await client.pubsub('CHANNELS')) as string[];
}

function isPresence({ type }: Heard): boolean {
  return type === 'presence';
}

function gaps({ heard }: Client): Heard[] {
  return heard.filter(({ data }) => data['event'] === 'gap');
}

describe('where it listens', () => {
  test('HOST says where, PORT=0 and METRICS_PORT=0 take free ports, which are logged', async () => {
    const service = await start({ HOST: '127.0.0.2', PORT: '0', METRICS_PORT: '0' });
    const { address, port } = await service.logged('listening');
    const metrics = await service.logged('metrics listening');
    expect([address, metrics['address']]).toEqual(['127.0.0.2', '127.0.0.2']);
    expect((await fetch(`http://127.0.0.2:${String(port)}/healthz`)).status).toBe(200);
    expect((await fetch(`http://127.0.0.2:${String(metrics['port'])}/metrics`)).status).toBe(200);
    await expect(service.get('/healthz')).rejects.toThrow();
  });

  describe('METRICS_PORT', () => {
    let service: Service;
    let metricsPort: number;

    beforeAll(async () => {
      metricsPort = await freePort();
      service = await startService({ METRICS_PORT: String(metricsPort) });
    });

    afterAll(async () => {
      await service.stop('SIGKILL');
    });

    test('serves /metrics there and nowhere else', async () => {
      const there = (path: string) => fetch(`http://127.0.0.1:${metricsPort}${path}`);
      expect(await (await there('/metrics')).text()).toContain('chat_connections 0');
      expect((await service.get('/metrics')).status).toBe(404);
      expect((await there('/healthz')).status).toBe(404);
    });

    test('takes no WebSockets there', async () => {
      const raw = await rawConnect(metricsPort);
      raw.write(upgradeRequest('/ws'));
      await raw.receives((received) => received.includes('\r\n\r\n'));
      expect(raw.received.toString('latin1')).toMatch(/^HTTP\/1\.1 4\d\d /);
    });
  });
});

describe('what is turned off', () => {
  let service: Service;

  beforeAll(async () => {
    service = await startService({ METRICS_PORT: 'off', PRESENCE_MAX_MEMBERS: '0' });
  });

  afterAll(async () => {
    await service.stop('SIGKILL');
  });

  test('METRICS_PORT=off serves /metrics nowhere', async () => {
    expect((await service.get('/metrics')).status).toBe(404);
    expect((await service.get('/healthz')).status).toBe(200);
  });

  test('PRESENCE_MAX_MEMBERS=0 tells nobody who comes', async () => {
    const ada = await connect(service.port, '/ws/tea');
    const ben = await connect(service.port, '/ws/tea');
    ben.chat('hello');
    await Promise.all([ada.hearsChat('hello'), ben.hearsChat('hello')]);
    expect([...ada.heard, ...ben.heard].filter(isPresence)).toEqual([]);
  });
});

describe('what is set', () => {
  let port: number;
  let service: Service;

  beforeAll(async () => {
    port = await freePort();
    service = await startService({
      PORT: String(port),
      BASE_PATH: '/talk',
      MAX_MESSAGE_BYTES: '100',
      UPGRADE_TIMEOUT_MS: '100',
      MAX_CONNECTIONS: '4',
      PRESENCE_MAX_MEMBERS: '2',
      PING_INTERVAL_MS: '200',
      PONG_TIMEOUT_MS: '500',
    });
  });

  afterEach(async () => {
    await service.metricIs('chat_connections', 0);
  });

  afterAll(async () => {
    await service.stop('SIGKILL');
  });

  test('PORT is where it listens', async () => {
    expect(service.port).toBe(port);
    expect((await service.get('/healthz')).status).toBe(200);
  });

  test('BASE_PATH stands before /ws', async () => {
    await (await connect(port, '/talk/ws/tea')).close();
    expect((await refused(port, '/api/chat-api/ws/tea')).status).toBe(404);
  });

  test('MAX_MESSAGE_BYTES is told in the welcome and holds', async () => {
    const { client, data } = await welcomeOf(service);
    expect(data['maxMessageBytes']).toBe(100);
    const text = JSON.stringify({ type: 'chat', data: { content: '' } });
    const content = 'x'.repeat(100 - text.length);
    client.chat(content);
    await client.hearsChat(content);
    client.chat(`${content}x`);
    expect((await client.closed).code).toBe(1009);
  });

  test('UPGRADE_TIMEOUT_MS ends a connection that says nothing', async () => {
    const raw = await rawConnect(port);
    expect(await elapsed(raw.closed)).toBeLessThan(5000);
  });

  test('MAX_CONNECTIONS are let in, and no more', async () => {
    const clients = await Promise.all(Array.from({ length: 4 }, () => connect(port)));
    expect((await refused(port, '/ws')).status).toBe(503);
    await clients[0]?.close();
    await service.metricIs('chat_connections', 3);
    const next = await connect(port);
    await Promise.all([next, ...clients].map((client) => client.close()));
  });

  test('PRESENCE_MAX_MEMBERS: a larger room is not told who comes, and is told again when it is smaller', async () => {
    const { client: ada, data: adaData } = await welcomeOf(service, '/ws/tea');
    const { client: ben, data: benData } = await welcomeOf(service, '/ws/tea');
    const cat = await connect(port, '/ws/tea');
    cat.chat('nobody was told of me');
    await Promise.all([ada, ben, cat].map((each) => each.hearsChat('nobody was told of me')));
    expect(ada.heard.filter(isPresence).map(({ data }) => data['clientId'])).toEqual([adaData['clientId'], benData['clientId']]);
    expect(cat.heard.filter(isPresence)).toEqual([]);
    await cat.close();
    await service.metricIs('chat_connections', 2);
    await ben.close();
    const goodbye = await ada.hears(({ data }) => data['status'] === 'offline');
    expect(goodbye.data['clientId']).toBe(benData['clientId']);
    await ada.close();
  });

  test('PING_INTERVAL_MS is told in the welcome and kept; who answers lives past PONG_TIMEOUT_MS', async () => {
    const { client, data } = await welcomeOf(service);
    expect(data['pingIntervalMs']).toBe(200);
    expect(await elapsed(pings(client, 7))).toBeGreaterThan(1000);
    client.chat('alive');
    await client.hearsChat('alive');
    await client.close();
  });

  test('PONG_TIMEOUT_MS: who is silent is closed with 4001', async () => {
    const silent = await connect(port, '/ws', { autoPong: false });
    const took = await elapsed(silent.closed);
    expect((await silent.closed).code).toBe(4001);
    expect(took).toBeGreaterThan(400);
    expect(took).toBeLessThan(1000);
    await service.metricIs('chat_closes_total{code="4001"}', 1);
  });

  test('PONG_TIMEOUT_MS: a stall of the process itself is no silence of its clients', async () => {
    const client = await connect(port);
    const pinged = pings(client, 8);
    service.process.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 900));
    service.process.kill('SIGCONT');
    await pinged;
    await client.close();
  });

  test('PONG_TIMEOUT_MS: any frame is a sign of life', async () => {
    const client = await connect(port, '/ws', { autoPong: false });
    const talks = setInterval(() => {
      client.send({ type: 'pong' });
    }, 100);
    await pings(client, 7);
    clearInterval(talks);
    expect((await client.closed).code).toBe(4001);
  });
});

/** Resolves when so many pings came; rejects when the connection closes before. */
function pings({ webSocket, closed }: Client, count: number): Promise<void> {
  let left = count;
  return new Promise((resolve, reject) => {
    webSocket.on('ping', () => {
      left -= 1;
      if (left === 0) resolve();
    });
    void closed.then(({ code }) => {
      reject(new Error(`closed with ${code}`));
    });
  });
}

const MESSAGES = 200;

interface Slow {
  readonly service: Service;
  readonly client: Client;
  /** What it was closed with before it had heard the last message. */
  readonly code: number | undefined;
}

/** A client that does not read while another says much, and then reads on: up to the last message, or to its close. */
async function slowOn(service: Service): Promise<Slow> {
  const [sender, client] = await Promise.all([connect(service.port, '/ws/slow'), connect(service.port, '/ws/slow')]);
  const filler = 'x'.repeat(60_000);
  client.webSocket.pause();
  for (let n = 0; n < MESSAGES; n++) {
    sender.send({ type: 'chat', data: { content: String(n), filler } });
    await sender.hearsChat(String(n));
  }
  client.webSocket.resume();
  const last = client.hearsChat(String(MESSAGES - 1)).then(
    () => undefined,
    () => undefined,
  );
  const code = await Promise.race([last, client.closed.then((closed) => closed.code)]);
  return { service, client, code };
}

function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, n) => String(from + n));
}

describe('a client that does not read for a while', () => {
  const slow = async (environment: Environment) => slowOn(await start(environment));

  test.each([
    ['SEND_BUFFER_MESSAGES', '4'],
    ['SEND_BUFFER_BYTES', '250000'],
  ])('is closed with 4000 where more than %s=%s waits', async (name, value) => {
    const { client, code, service } = await slow({ [name]: value });
    expect(code).toBe(4000);
    expect(client.chats).toEqual(numbers(0, client.chats.length));
    expect(client.chats.length).toBeLessThan(MESSAGES);
    await service.metricIs('chat_closes_total{code="4000"}', 1);
  });

  test('loses the oldest and is told so in one gap, where SLOW_CONSUMER_POLICY=drop-oldest', async () => {
    const { client, code, service } = await slow({ SLOW_CONSUMER_POLICY: 'drop-oldest', SEND_BUFFER_MESSAGES: '4' });
    expect(code).toBeUndefined();
    const told = gaps(client);
    expect(told).toMatchObject([{ type: 'system', from: 'server', data: { reason: 'slow_consumer' } }]);
    const at = client.heard.findIndex((message) => message === told[0]);
    const before = client.heard.slice(0, at).filter(({ type }) => type === 'chat').length;
    expect(client.chats).toEqual([...numbers(0, before), ...numbers(MESSAGES - 4, MESSAGES)]);
    expect(Date.parse(String(told[0]?.data['since']))).toBeGreaterThanOrEqual(sentMs(client.heard[at - 1]));
    client.chat('still here');
    await client.hearsChat('still here');
    await service.metricIs('chat_closes_total{code="4000"}', 0);
  });
});

describe('what is left at its default, or empty', () => {
  let service: Service;

  beforeAll(async () => {
    service = await startService({ MAX_MESSAGE_BYTES: '', LOG_LEVEL: '', METRICS_PORT: '', SEND_BUFFER_MESSAGES: '' });
  });

  afterAll(async () => {
    await service.stop('SIGKILL');
  });

  test('is told in the welcome', async () => {
    const { client, data } = await welcomeOf(service, '/ws/tea');
    expect(data).toEqual({
      event: 'welcome',
      clientId: expect.any(String),
      rooms: ['tea'],
      pingIntervalMs: 25_000,
      maxMessageBytes: 65_536,
    });
    await client.close();
  });

  test('lets a client that does not read for a while have everything', async () => {
    const { client, code } = await slowOn(service);
    expect(code).toBeUndefined();
    expect(client.chats).toEqual(numbers(0, MESSAGES));
    expect(gaps(client)).toEqual([]);
  });

  test('logs as JSON that it listens, and no message', async () => {
    const client = await connect(service.port, '/ws/secret-room');
    client.chat('a secret');
    await client.hearsChat('a secret');
    client.send('a secret that is not JSON');
    await client.hearsError('invalid_json');
    expect(await service.logged('listening')).toMatchObject({ level: 'info', name: 'chat-api' });
    expect(JSON.stringify(service.logs)).not.toContain('a secret');
  });
});

function loggedMs({ time }: Record<string, unknown>): number {
  return Date.parse(String(time));
}

function sentMs(message: Heard | undefined): number {
  return Date.parse(message?.timestamp ?? '');
}

describe('Redis', () => {
  test('REDIS_URL: two pods on one Redis are one chat, on channels that begin with chat-api', async () => {
    const { redis, service } = await withRedis();
    const other = await start({ REDIS_URL: redis.url });
    await other.logged('ready');
    const [ada, ben] = await Promise.all([connect(service.port, '/ws/tea'), connect(other.port, '/ws/tea')]);
    ada.chat('over there?');
    await Promise.all([ada.hearsChat('over there?'), ben.hearsChat('over there?')]);
    expect(await service.metric('chat_broker_up')).toBe(1);
    expect(await channels(redis)).toEqual(expect.arrayContaining(['chat-api:global', 'chat-api:room:tea']));
    expect(await other.stop()).toBe(0);
  });

  test('REDIS_URL: the password is used, and never logged', async () => {
    const redis = await startRedis(undefined, ['--requirepass', 'open-sesame']);
    redises.push(redis);
    const address = `127.0.0.1:${redis.port}`;
    const [right, wrong] = await Promise.all([
      start({ REDIS_URL: `redis://:open-sesame@${address}/0` }),
      start({ REDIS_URL: `redis://:open-barley@${address}`, LOG_LEVEL: 'trace' }),
    ]);
    await right.logged('ready');
    const client = await connect(right.port);
    client.chat('in');
    await client.hearsChat('in');
    const reply = await wrong.get('/readyz');
    expect(reply.status).toBe(503);
    expect(`${await reply.text()}${JSON.stringify([...right.logs, ...wrong.logs])}`).not.toMatch(/sesame|barley/);
  });

  test('REDIS_CHANNEL_PREFIX is what channels begin with, and after PUBLISH_TIMEOUT_MS the sender gets an error', async () => {
    const { redis, service } = await withRedis({ REDIS_CHANNEL_PREFIX: 'team:a', PUBLISH_TIMEOUT_MS: '300' });
    const client = await connect(service.port, '/ws/tea');
    expect(await channels(redis)).toEqual(expect.arrayContaining(['team:a:global', 'team:a:room:tea']));
    expect((await channels(redis)).filter((channel) => !channel.startsWith('team:a:'))).toEqual([]);
    redis.process.kill('SIGSTOP');
    client.chat('anybody?', { id: 'first' });
    const took = await elapsed(client.hearsError('unconfirmed'));
    expect((await client.hearsError('unconfirmed')).data['ref']).toBe('first');
    expect(took).toBeGreaterThan(250);
    expect(took).toBeLessThan(1900);
    client.chat('and now?', { id: 'second' });
    expect((await client.hearsError('unavailable')).data['ref']).toBe('second');
    redis.process.kill('SIGCONT');
  });

  test('PUBLISH_WINDOW: so many publishes wait for Redis, the rest unhandled and in order', async () => {
    const { redis, service } = await withRedis({ PUBLISH_WINDOW: '2', PUBLISH_TIMEOUT_MS: '20000' });
    const [full, free] = await Promise.all([connect(service.port, '/ws/full'), connect(service.port, '/ws/free')]);
    await Promise.all([full.hearsType('presence'), free.hearsType('presence')]);
    redis.process.kill('SIGSTOP');
    for (const content of ['1', '2', '3', '4', '5']) full.chat(content);
    full.send({ type: 'ping', id: 'behind' });
    await service.metricIs('chat_messages_received_total{type="chat"}', 2);
    free.chat('one');
    free.send({ type: 'ping', id: 'within' });
    await free.hearsType('pong');
    expect(await service.metric('chat_messages_received_total{type="chat"}')).toBe(3);
    expect(full.heard.some(({ type }) => type === 'pong')).toBe(false);
    redis.process.kill('SIGCONT');
    await Promise.all([full.hearsChat('5'), full.hearsType('pong'), free.hearsChat('one')]);
    expect(full.chats).toEqual(['1', '2', '3', '4', '5']);
    expect(full.heard.some(({ type }) => type === 'error')).toBe(false);
  });
});

describe('shutdown', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s tells everybody, closes with 1001 and exits 0', async (signal) => {
    const service = await start({});
    const client = await connect(service.port);
    const code = service.stop(signal);
    const { data } = await client.hearsEvent('shutdown');
    expect(data['reconnectInMs']).toEqual(expect.any(Number));
    expect(Number.isInteger(data['reconnectInMs'])).toBe(true);
    expect((await client.closed).code).toBe(1001);
    expect(await code).toBe(0);
  });

  test('SHUTDOWN_DELAY_MS lies before the first close, SHUTDOWN_TIMEOUT_MS before the end of who never answers it', async () => {
    const service = await start({ SHUTDOWN_DELAY_MS: '700', SHUTDOWN_TIMEOUT_MS: '500' });
    const client = await connect(service.port);
    const rude = await rawUpgrade(service.port);
    await rude.receives((received) => messagesIn(received).length > 0);
    const code = service.stop();
    const drainingMs = loggedMs(await service.logged('draining'));
    expect((await service.get('/readyz')).status).toBe(503);
    client.chat('still served');
    await client.hearsChat('still served');
    expect(sentMs(await client.hearsEvent('shutdown')) - drainingMs).toBeGreaterThanOrEqual(690);
    expect((await client.closed).code).toBe(1001);
    expect(await code).toBe(0);
    const tookMs = loggedMs(await service.logged('stopped')) - drainingMs;
    expect(tookMs).toBeGreaterThanOrEqual(1190);
    expect(tookMs).toBeLessThan(4000);
  });

  test.each([
    ['SIGTERM', 'SIGINT'],
    ['SIGINT', 'SIGTERM'],
  ] as const)('after %s, a second signal (%s) exits at once', async (first, second) => {
    const service = await start({ SHUTDOWN_DELAY_MS: '60000' });
    await connect(service.port);
    service.process.kill(first);
    await service.logged('draining');
    expect([130, 143]).toContain(await service.stop(second));
  });
});

describe('LOG_LEVEL', () => {
  test('debug logs more', async () => {
    const { redis, service } = await withRedis({ LOG_LEVEL: 'debug' });
    const client = await connect(service.port, '/ws/tea');
    await redis.stop();
    await service.logged('not ready');
    await client.close();
    expect(await service.logged('presence was not published')).toMatchObject({ level: 'debug' });
  });

  test('warn logs that it cannot listen, and nothing of less weight; the exit code is 1', async () => {
    const { code, stdout } = await onTakenPort({ LOG_LEVEL: 'warn' });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^{"level":"fatal",[^\n]*EADDRINUSE[^\n]*}\n$/);
  });

  test('silent logs nothing, but says on standard error in one line why there is no service', async () => {
    const { code, stdout, stderr } = await onTakenPort({ LOG_LEVEL: 'silent' });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^chat-api: .*EADDRINUSE.*\n$/);
  });
});
