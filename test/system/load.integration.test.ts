import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { clientFrame } from '../support/raw.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { startService, type Service } from '../support/service.js';
import { residentBytes, swarm, type SwarmMember } from '../support/swarm.js';

const MB = 1024 * 1024;
const FINAL_TEXT = 0x81;

let redis: TestRedis;
let service: Service;

beforeAll(async () => {
  redis = await startRedis();
});

afterEach(async () => {
  await service.stop('SIGKILL');
});

afterAll(async () => {
  await redis.stop();
});

function start(environment: Record<string, string> = {}) {
  return startService({ REDIS_URL: redis.url, PRESENCE_MAX_MEMBERS: '0', ...environment });
}

/** A chat that carries a number where a reader finds it without parsing. */
function chatFrame(n: number, padding = ''): Buffer {
  return clientFrame(
    FINAL_TEXT,
    JSON.stringify({ type: 'chat', data: { content: `#${String(n).padStart(6, '0')}#${padding}` } }),
  );
}

function numberIn(payload: Buffer): number {
  const at = payload.indexOf('"content":"#');
  return Number(payload.toString('latin1', at + 12, at + 18));
}

/** The numbers a member has heard, checked as they come. */
class Ledger {
  heard = 0;
  outOfOrder = 0;

  transform(n: number): void {
    if (n !== this.heard) this.outOfOrder += 1;
    this.heard = n + 1;
  }
}

test('one member of fifty stops reading: it alone is closed with 4000, the others get 20,000 messages in order, memory stays', async () => {
  service = await start();
  const COUNT = 20_000;
  const IN_FLIGHT = 30;
  const padding = 'x'.repeat(900);
  const ledgers = Array.from({ length: 50 }, () => new Ledger());
  let sent = 0;
  let mostBytes = 0;
  let members: SwarmMember[] = [];
  let done: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => (done = resolve));
  const send = () => {
    while (sent < COUNT && sent - (ledgers[0]?.heard ?? 0) < IN_FLIGHT) members[0]?.socket.write(chatFrame(sent++, padding));
  };
  members = await swarm({
    port: service.port,
    size: 50,
    path: () => '/ws/crowd',
    onText: (nth, payload) => {
      ledgers[nth]?.transform(numberIn(payload));
      if (nth === 0) send();
      if (ledgers.every(({ heard }, at) => at === 49 || heard === COUNT)) done();
    },
  });
  const before = await residentBytes(service.process.pid);
  members[49]?.socket.pause();
  send();
  const sampling = setInterval(
    () => void residentBytes(service.process.pid).then((bytes) => (mostBytes = Math.max(mostBytes, bytes))),
    100,
  );
  await finished;
  clearInterval(sampling);
  expect(ledgers.slice(0, 49).map(({ outOfOrder }) => outOfOrder)).toEqual(Array(49).fill(0));
  expect((mostBytes - before) / MB).toBeLessThan(80);
  await service.metricIs('chat_connections', 49);
  await service.metricIs('chat_closes_total{code="4000"}', 1);
  for (const member of members) member.socket.destroy();
});

test('a stall of the process itself disconnects nobody who reads', async () => {
  service = await start();
  /** What comes during a stall: more than a send buffer holds. */
  const STALLED = 900;
  const BEFORE = 2100;
  const AFTER = 3000;
  const IN_FLIGHT = 100;
  const ledgers = Array.from({ length: 50 }, () => new Ledger());
  let look: () => void = () => undefined;
  const members = await swarm({
    port: service.port,
    size: 50,
    path: () => '/ws/crowd',
    onText: (nth, payload) => {
      ledgers[nth]?.transform(numberIn(payload));
      look();
    },
  });
  const slowest = () => Math.min(...ledgers.map(({ heard }) => heard));
  const haveHeard = (count: number) =>
    new Promise<void>((resolve) => {
      look = () => {
        if (slowest() >= count) resolve();
      };
      look();
    });
  let sent = 0;
  const publish = () => {
    const data = { content: `#${String(sent++).padStart(6, '0')}#` };
    const envelope = { id: 'x', type: 'notification', room: 'crowd', from: 'test', data, timestamp: new Date().toISOString() };
    return redis.client.publish('chat-api:room:crowd', JSON.stringify(envelope));
  };
  // At the pace of the slowest member, so that none is slow because its machine is.
  const publishPaced = async (until: number) => {
    for (; sent < until; await publish()) await haveHeard(sent - IN_FLIGHT);
    await haveHeard(until);
  };
  await publishPaced(BEFORE);
  service.process.kill('SIGSTOP');
  for (let nth = 0; nth < STALLED; nth++) await publish();
  service.process.kill('SIGCONT');
  await haveHeard(sent);
  await publishPaced(sent + AFTER);
  expect(ledgers.map(({ outOfOrder }) => outOfOrder)).toEqual(Array(50).fill(0));
  expect(await service.metric('chat_connections')).toBe(50);
  for (const member of members) member.socket.destroy();
});

test('SIGTERM amid traffic tells each of 1,000 connections, closes it with 1001, and the process ends with 0 in time', async () => {
  service = await start();
  const told = new Set<number>();
  const members = await swarm({
    port: service.port,
    size: 1000,
    path: (nth) => `/ws/room-${nth % 20}`,
    onText: (nth, payload) => {
      if (payload.includes('"event":"shutdown"')) told.add(nth);
    },
  });
  const closed = members.map(async (member) => {
    await once(member.socket, 'close');
    return member.closeCode;
  });
  let n = 0;
  const traffic = setInterval(() => {
    for (let i = 0; i < 20; i++) {
      const socket = members[n % 1000]?.socket;
      n += 1;
      if (socket?.writable) socket.write(chatFrame(n));
    }
  }, 10);
  while (n < 1000) await once(members[0]?.socket ?? process, 'data');
  const begun = Date.now();
  const code = await service.stop('SIGTERM');
  clearInterval(traffic);
  expect(code).toBe(0);
  expect(Date.now() - begun).toBeLessThan(10_000);
  expect(told.size).toBe(1000);
  expect(await Promise.all(closed)).toEqual(Array(1000).fill(1001));
});
