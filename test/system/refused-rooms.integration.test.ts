import { once } from 'node:events';
import { afterEach, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { Client, connect } from '../support/client.js';
import { becomes } from '../support/ready.js';
import { freePort, startRedis } from '../support/redis.js';
import { startService } from '../support/service.js';

const ends: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});

/** The pod's own channels, and those of the rooms of teams. */
const CHANNELS = ['&chat-api:room:team-*', '&chat-api:global', '&chat-api:canary:*', '&chat-api:misplaced'];

test('a room that the Redis user may not hear costs those who want it, and nobody else; the log names its channel', async () => {
  const redis = await startRedis(await freePort());
  ends.push(() => redis.stop());
  await redis.client.acl('SETUSER', 'chat', 'on', '>secret', '+@all', 'allkeys', 'resetchannels', ...CHANNELS);
  const pod = await startService({ REDIS_URL: `redis://chat:secret@127.0.0.1:${redis.port}` });
  ends.push(() => pod.stop());
  await becomes(pod, 200);
  const ada = await connect(pod.port, '/ws/team-a');
  const ben = await connect(pod.port, '/ws/team-a');

  const stranger = new Client(new WebSocket(`ws://127.0.0.1:${pod.port}/ws/private`));
  await once(stranger.webSocket, 'open');
  expect((await stranger.closed).code).toBe(1008);
  expect(stranger.heard).toEqual([]);
  const line = await pod.logged('subscription refused');
  expect(line['channel']).toBe('chat-api:room:private');

  expect((await pod.get('/readyz')).status).toBe(200);
  ada.chat('are you there?');
  await ben.hearsChat('are you there?');
  expect([ada, ben].flatMap(({ heard }) => heard).filter(({ data }) => data['event'] === 'gap')).toEqual([]);
  expect(await pod.metric('chat_broker_reconnects_total')).toBe(0);
});
