import { afterEach, expect, test } from '@jest/globals';
import { clientFrame } from '../support/raw.js';
import { startRedis } from '../support/redis.js';
import { startService } from '../support/service.js';
import { residentBytes, swarm, type SwarmMember } from '../support/swarm.js';

const KB = 1024;
const MB = 1024 * KB;
const FINAL_TEXT = 0x81;

const STALLED = 100;
const READERS = 4;
const MESSAGES = 8000;
const MESSAGE_BYTES = 32 * KB;
/** Messages that are under way at once. */
const IN_FLIGHT = 4;
const SEND_BUFFER_BYTES = 256 * KB;
/** What Node takes for a socket before it calls it full. */
const SOCKET_BYTES = 16 * KB;
/** Garbage that is not collected yet, where 10,000 messages a second of 32 KB come by. */
const GARBAGE_BYTES = 64 * MB;

const ends: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});

test('a hundred members stop reading at once: all are closed with 4000, memory keeps its bounds, the others miss nothing', async () => {
  const redis = await startRedis();
  const service = await startService({
    REDIS_URL: redis.url,
    PRESENCE_MAX_MEMBERS: '0',
    SEND_BUFFER_BYTES: String(SEND_BUFFER_BYTES),
  });
  ends.push(
    () => redis.stop(),
    () => service.stop('SIGKILL'),
  );
  const heard: number[][] = Array.from({ length: READERS }, () => []);
  let members: SwarmMember[] = [];
  let sent = 0;
  let mostBytes = 0;
  let done: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => (done = resolve));
  // At the pace of the slowest reader: whoever reads has at most so much to come, and is never too slow.
  const send = () => {
    const slowest = Math.min(...heard.map(({ length }) => length));
    while (sent < MESSAGES && sent - slowest < IN_FLIGHT) members[0]?.socket.write(chatFrame(sent++));
    if (slowest === MESSAGES) done();
  };
  members = await swarm({
    port: service.port,
    size: READERS + STALLED,
    path: () => '/ws/crowd',
    onText: (nth, payload) => {
      const numbers = heard[nth];
      if (numbers === undefined) return;
      numbers.push(numberIn(payload));
      if (numbers.length % 50 === 0) {
        void residentBytes(service.process.pid).then((bytes) => (mostBytes = Math.max(mostBytes, bytes)));
      }
      send();
    },
  });
  ends.push(() => {
    for (const { socket } of members) socket.destroy();
  });
  const before = await residentBytes(service.process.pid);
  for (const { socket } of members.slice(READERS)) socket.pause();
  send();
  await finished;

  expect(heard).toEqual(Array(READERS).fill(Array.from({ length: MESSAGES }, (_, n) => n)));
  // Were nothing shared: what waits, a turn's batch that finds the socket ready, and what the socket takes before it is full.
  const boundBytes = STALLED * (SEND_BUFFER_BYTES + IN_FLIGHT * MESSAGE_BYTES + SOCKET_BYTES) + GARBAGE_BYTES;
  // Or the test would prove nothing.
  expect(MESSAGES * MESSAGE_BYTES).toBeGreaterThan(2 * boundBytes);
  expect((mostBytes - before) / MB).toBeLessThan(boundBytes / MB);
  await service.metricIs('chat_closes_total{code="4000"}', STALLED);
  await service.metricIs('chat_connections', READERS);
});

/** A chat that carries a number where a reader finds it without parsing. */
function chatFrame(n: number): Buffer {
  const content = `#${String(n).padStart(6, '0')}#`.padEnd(MESSAGE_BYTES, 'x');
  return clientFrame(FINAL_TEXT, JSON.stringify({ type: 'chat', data: { content } }));
}

function numberIn(payload: Buffer): number {
  const at = payload.indexOf('"content":"#');
  return Number(payload.toString('latin1', at + 12, at + 18));
}
