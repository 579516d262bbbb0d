import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { connect, type Client } from '../support/client.js';
import { clientFrame, rawConnect, upgradeRequest, type Raw } from '../support/raw.js';
import { startRedis } from '../support/redis.js';
import { startService, type Service } from '../support/service.js';
import { residentBytes, swarm } from '../support/swarm.js';

const KB = 1024;
const MB = 1024 * KB;
const FINAL_TEXT = 0x81;
const PUBLISH_WINDOW = 8;
const MESSAGES = 20_000;
const MESSAGE_BYTES = 4 * KB;
/** What a pod may take more than before: garbage, for it keeps the window alone, and one read. */
const FLAT_BYTES = 60 * MB;

const ends: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});

test('a client that floods is answered message by message, while another room talks and memory stays', async () => {
  const { service } = await start();
  const [ada, ben] = await Promise.all([connect(service.port, '/ws/tea'), connect(service.port, '/ws/tea')]);
  const before = await residentBytes(service.process.pid);
  const flood = await flooder(service);
  void flood.begin();
  let mostBytes = 0;
  let rounds = 0;
  for (; flood.heard.length < MESSAGES; rounds++) {
    ada.chat(`ada ${rounds}`);
    await ben.hearsChat(`ada ${rounds}`);
    ben.chat(`ben ${rounds}`);
    await ada.hearsChat(`ben ${rounds}`);
    mostBytes = Math.max(mostBytes, await residentBytes(service.process.pid));
  }
  expect(flood.heard).toEqual(Array.from({ length: MESSAGES }, (_, n) => n));
  expect(flood.errors).toEqual([]);
  expect(rounds).toBeGreaterThan(20);
  expect((mostBytes - before) / MB).toBeLessThan(FLAT_BYTES / MB);
});

test('a client that floods while Redis does not answer: the pod reads no more than the window, and the rest when Redis answers', async () => {
  const { redis, service } = await start({ PUBLISH_TIMEOUT_MS: '3600000' });
  const other = await connect(service.port, '/ws/tea');
  const flood = await flooder(service);
  const before = await residentBytes(service.process.pid);
  redis.process.kill('SIGSTOP');
  const finished = flood.begin();
  await service.metricIs('chat_messages_received_total{type="chat"}', PUBLISH_WINDOW);
  // A clock that needs no time: so many round trips of another client, in each of which the pod could have read the flood's socket.
  await roundTrips(other, 500);
  expect(await service.metric('chat_messages_received_total{type="chat"}')).toBe(PUBLISH_WINDOW);
  expect(flood.socket.writableNeedDrain).toBe(true);
  // The kernel's buffers took some of it; what they take is theirs to bound.
  expect(flood.written).toBeLessThan(MESSAGES / 2);
  expect(flood.heard).toEqual([]);
  expect(((await residentBytes(service.process.pid)) - before) / MB).toBeLessThan(FLAT_BYTES / MB);
  redis.process.kill('SIGCONT');
  await finished;
  expect(flood.heard).toEqual(Array.from({ length: MESSAGES }, (_, n) => n));
  expect(flood.errors).toEqual([]);
});

test('a thousand that never finish their upgrade: each is timed out, memory stays, and others get in meanwhile', async () => {
  const HALF_OPEN = 1000;
  const service = await startService({ UPGRADE_TIMEOUT_MS: '1500' });
  ends.push(() => service.stop('SIGKILL'));
  const before = await residentBytes(service.process.pid);
  // Headers as long as they may be, some, and none at all.
  const unfinished = upgradeRequest('/ws/tea', { Padding: 'x'.repeat(15 * KB) }).slice(0, -2);
  const beginnings = [unfinished, unfinished.slice(0, 100), ''];
  const raws: Raw[] = [];
  let isFlooding = true;
  const come = async (nth: number) => {
    const raw = await rawConnect(service.port);
    raws.push(raw);
    raw.write(beginnings[nth % beginnings.length] ?? '');
    return raw;
  };
  const first = await Promise.all(Array.from({ length: HALF_OPEN }, (_, nth) => come(nth)));
  // Whoever is timed out is followed by another, so that all the while there are a thousand, however slow the machine is.
  const flood = first.map(async (begun, nth) => {
    for (let raw = begun; ; raw = await come(nth)) {
      await raw.closed;
      if (!isFlooding) return;
    }
  });
  const [ada, ben] = await Promise.all([connect(service.port, '/ws/tea'), connect(service.port, '/ws/tea')]);
  ada.chat('hello');
  await ben.hearsChat('hello');
  const grown = (await residentBytes(service.process.pid)) - before;
  // 16 KiB of headers, and as much again twice for the socket and its parser.
  expect(grown / MB).toBeLessThan((HALF_OPEN * 48 * KB) / MB);
  isFlooding = false;
  await Promise.all(flood);
  expect(raws.map(({ received }) => received.includes(' 101 ')).filter(Boolean)).toEqual([]);
  expect(await service.metric('chat_connections')).toBe(2);
  ben.chat('still here');
  await ada.hearsChat('still here');
});

test('a flood of half-open connections: the oldest make room, and whoever sends a request gets in all the while', async () => {
  const MOST = 12_288;
  const TOO_MANY = 600;
  // None is timed out, or it would be the flood that makes room.
  const service = await startService({ UPGRADE_TIMEOUT_MS: '3600000' });
  ends.push(() => service.stop('SIGKILL'));
  const before = await residentBytes(service.process.pid);
  const raws: Raw[] = [];
  const closed: number[] = [];
  const come = async () => {
    const raw = await rawConnect(service.port);
    const nth = raws.push(raw) - 1;
    raw.write('GET /ws/tea HTTP/1.1\r\n');
    void raw.closed.then(() => closed.push(nth));
  };
  const workers = Array.from({ length: 50 }, async () => {
    while (raws.length < MOST + TOO_MANY) await come();
  });
  // They come and talk while the flood does.
  for (let nth = 0; raws.length < MOST + TOO_MANY; nth++) {
    const ada = await connect(service.port, '/ws/tea');
    ada.chat(`hello ${nth}`);
    await ada.hearsChat(`hello ${nth}`);
    await ada.close();
  }
  await Promise.all(workers);
  ends.push(() => {
    for (const { socket } of raws) socket.destroy();
  });
  await Promise.all(raws.slice(0, 500).map((raw) => raw.closed));
  expect(closed.length).toBeGreaterThanOrEqual(500);
  // About the oldest: connections race each other to the pod.
  expect(Math.max(...closed)).toBeLessThan(raws.length - MOST + 200);
  expect(((await residentBytes(service.process.pid)) - before) / MB).toBeLessThan((MOST * 48 * KB) / MB);
  await service.logged('too many pending connections');
  expect((await service.get('/healthz')).status).toBe(200);
});

async function start(environment: Readonly<Record<string, string>> = {}) {
  const redis = await startRedis();
  const service = await startService({
    REDIS_URL: redis.url,
    PRESENCE_MAX_MEMBERS: '0',
    PUBLISH_WINDOW: String(PUBLISH_WINDOW),
    ...environment,
  });
  ends.push(
    () => redis.stop(),
    () => service.stop('SIGKILL'),
  );
  await service.metricIs('chat_broker_up', 1);
  return { redis, service };
}

/** A client that says all it has as fast as its socket takes it, and notes what comes back. */
interface Flood {
  readonly socket: Socket;
  /** Messages that its socket took. */
  readonly written: number;
  /** Their numbers, as they came back. */
  readonly heard: readonly number[];
  readonly errors: readonly string[];
  /** Resolves when everything was answered. */
  begin(): Promise<void>;
}

async function flooder({ port }: Service): Promise<Flood> {
  const heard: number[] = [];
  const errors: string[] = [];
  let written = 0;
  let answered: () => void = () => undefined;
  const onText = (_: number, payload: Buffer) => {
    const text = payload.toString('latin1');
    const at = text.indexOf('"content":"#');
    if (at >= 0) heard.push(Number(text.slice(at + 12, at + 18)));
    else errors.push(text);
    if (heard.length + errors.length === MESSAGES) answered();
  };
  const [member] = await swarm({ port, size: 1, path: () => '/ws/flood', onText });
  if (member === undefined) throw new Error('a swarm of one is empty');
  const { socket } = member;
  ends.push(() => socket.destroy());
  const begin = async () => {
    const finished = new Promise<void>((resolve) => (answered = resolve));
    for (; written < MESSAGES; written++) if (!socket.write(chatFrame(written))) await once(socket, 'drain');
    await finished;
  };
  return {
    socket,
    heard,
    errors,
    begin,
    get written() {
      return written;
    },
  };
}

function chatFrame(n: number): Buffer {
  const content = `#${String(n).padStart(6, '0')}#`.padEnd(MESSAGE_BYTES, 'x');
  return clientFrame(FINAL_TEXT, JSON.stringify({ type: 'chat', data: { content } }));
}

async function roundTrips(client: Client, count: number): Promise<void> {
  for (let nth = 0; nth < count; nth++) {
    client.send({ type: 'ping', id: String(nth) });
    await client.hears(({ type, id }) => type === 'pong' && id === String(nth));
  }
}
