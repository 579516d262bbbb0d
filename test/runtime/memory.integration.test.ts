import { setImmediate } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { connect } from '../support/client.js';
import { clientFrame, rawConnect, rawUpgrade, statusOf, upgradeRequest, type Raw } from '../support/raw.js';
import { freePort, startRedis, type TestRedis } from '../support/redis.js';
import { startService, type Service } from '../support/service.js';
import { swarm } from '../support/swarm.js';

const MB = 1024 * 1024;
const FINAL_TEXT = 0x81;
/** V8's limit in a container of 512 MB. */
const HEAP_MB = 256;
const MAX_ROOMS = 200_000;
const ROOMS_EACH = 100;
/** The most changes of presence that wait. */
const PRESENCE_CHANGES = 100_000;
const MESSAGE_BYTES = 65_000;
/** How many connections hold a message when the pod is full: V8 may need two bytes for a character. */
const MOST_HOLDING = (HEAP_MB * MB) / 4 / (2 * MESSAGE_BYTES);

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

test('a pod with the heap of a 512 MB container holds all that it may hold, refuses what is beyond, and lives', async () => {
  const port = await freePort();
  const { redis, service } = await start(port);
  const all = await swarm({ port: service.port, size: MAX_ROOMS / ROOMS_EACH, path: pathOf });
  const leaving = all.slice(0, PRESENCE_CHANGES / ROOMS_EACH);
  const crowd = all.slice(leaving.length);
  ends.push(() => {
    for (const { socket } of all) socket.destroy();
  });
  expect(await service.metric('chat_rooms')).toBe(MAX_ROOMS);
  expect(await statusOf(service.port, upgradeRequest('/ws/one-more'))).toBe(503);
  expect(await statusOf(service.port, upgradeRequest('/ws/room-0-0'))).toBe(101);

  await redis.stop();
  await service.logged('not ready');
  // Nobody can be told that they leave, and others come in their place.
  for (const { socket } of leaving) socket.destroy();
  await until(
    () => service.metric('chat_connections'),
    (connections) => connections === crowd.length,
  );
  expect(await service.metric('chat_presence_waiting')).toBeGreaterThan(PRESENCE_CHANGES * 0.9);
  const others = await Promise.all(leaving.map((_, nth) => rawUpgrade(service.port, pathOf(nth))));
  ends.push(() => {
    for (const { socket } of others) socket.destroy();
  });
  expect(await statusOf(service.port, upgradeRequest('/ws/one-more'))).toBe(503);
  const holding = await fill(service);
  expect(holding.length).toBeGreaterThan(MOST_HOLDING / 2);
  expect(holding.length).toBeLessThanOrEqual(MOST_HOLDING * 1.1 + 1);
  // The pod reads nobody while it is full: these wait in the kernel's buffers.
  for (const { socket } of crowd) socket.write(message('from the crowd'));
  expect((await service.get('/healthz')).status).toBe(200);
  expect(await service.metric('nodejs_heap_size_used_bytes')).toBeLessThan(HEAP_MB * MB);

  const again = await startRedis(port);
  ends.push(() => again.stop());
  await Promise.all([...others, ...holding].map((raw) => raw.receives((received) => received.includes('"event":"welcome"'))));
  const late = await connect(service.port, '/ws/room-0-0');
  late.chat('all is well');
  await late.hearsChat('all is well');
  expect(crowd.filter(({ closeCode, socket }) => closeCode !== undefined || socket.destroyed)).toEqual([]);
});

/** Rooms of one's own. */
function pathOf(nth: number): string {
  return `/ws?${Array.from({ length: ROOMS_EACH }, (_, room) => `room=room-${nth}-${room}`).join('&')}`;
}

async function until<T>(value: () => Promise<T>, is: (value: T) => boolean): Promise<void> {
  while (!is(await value())) await setImmediate();
}

async function start(port: number): Promise<{ redis: TestRedis; service: Service }> {
  const redis = await startRedis(port);
  ends.push(() => redis.stop());
  const service = await startService({
    REDIS_URL: redis.url,
    NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}`,
    MAX_ROOMS: String(MAX_ROOMS),
    MAX_HELD_BYTES: String((HEAP_MB * MB) / 4),
  });
  ends.push(() => service.stop('SIGKILL'));
  await service.logged('ready');
  return { redis, service };
}

/** Clients that send a message before their welcome, one after the other until the pod lets nobody in. */
async function fill(service: Service): Promise<readonly Raw[]> {
  const holding: Raw[] = [];
  ends.push(() => {
    for (const { socket } of holding) socket.destroy();
  });
  for (;;) {
    const raw = await rawConnect(service.port);
    raw.write(Buffer.concat([Buffer.from(upgradeRequest('/ws')), message('x'.repeat(MESSAGE_BYTES))]));
    await raw.receives((received) => received.includes('\r\n\r\n'));
    if (!raw.received.includes('101 Switching')) {
      expect(raw.received.toString()).toMatch(/^HTTP\/1.1 503 .*Retry-After/s);
      raw.socket.destroy();
      return holding;
    }
    holding.push(raw);
    // The pod has read what it wanted of that one when it has answered another request.
    await service.get('/healthz');
  }
}

/** Held like any other, and nobody else's affair when its time has come. */
function message(content: string): Buffer {
  return clientFrame(FINAL_TEXT, JSON.stringify({ type: 'pong', data: content }));
}
