import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startRedis, type TestRedis } from '../support/redis.js';
import { startService, type Service } from '../support/service.js';
import { residentBytes, swarm } from '../support/swarm.js';

const MB = 1024 * 1024;

let redis: TestRedis;
let service: Service;

beforeAll(async () => {
  redis = await startRedis();
  service = await startService({ REDIS_URL: redis.url, PRESENCE_MAX_MEMBERS: '0' });
});

afterAll(async () => {
  await service.stop('SIGKILL');
  await redis.stop();
});

test('10,000 connections that come and go, ten times over, leave nothing behind', async () => {
  const after: number[] = [];
  for (let round = 0; round < 10; round++) {
    const members = await swarm({
      port: service.port,
      size: 10_000,
      path: (nth) => `/ws/room-${nth % 1000}`,
      localAddress: `127.0.1.${round + 1}`,
    });
    expect(await service.metric('chat_connections')).toBe(10_000);
    expect(await service.metric('chat_rooms')).toBe(1000);
    for (const member of members) member.socket.resetAndDestroy();
    await service.metricIs('chat_connections', 0);
    after.push(await residentBytes(service.process.pid));
  }
  await service.metricIs('chat_rooms', 0);
  while ((await redis.client.pubsub('CHANNELS', 'chat-api:room:*')).length > 0) await service.metric('chat_rooms');
  const [, second = 0] = after;
  const last = after.at(-1) ?? 0;
  expect(last / MB).toBeLessThan((second * 1.25) / MB + 10);
});
