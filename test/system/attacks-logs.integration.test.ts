import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { Client, connect, refused } from '../support/client.js';
import { clientFrame, rawConnect, statusOf, upgradeRequest } from '../support/raw.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { startService, type Service } from '../support/service.js';
import { SECRET, goodClaims, nowS, signedBySecret, signingKey, tokenOf } from '../support/token.js';

/** A word that stands in every message and every token's claims of this test; what is logged must not have it, encoded or not. */
const WORD = 'xyzzy-plugh';

let redis: TestRedis;
let service: Service;

beforeAll(async () => {
  redis = await startRedis();
  service = await startService({
    REDIS_URL: redis.url,
    AUTH_ENABLED: 'true',
    AUTH_JWT_SECRET: SECRET,
    LOG_LEVEL: 'trace',
    PUBLISH_TIMEOUT_MS: '300',
  });
  await service.logged('ready');
});

afterAll(async () => {
  await service.stop('SIGKILL');
  await redis.stop();
});

test('at level trace, whatever goes wrong, no token and nothing that was said is in the log', async () => {
  const { port } = service;
  const claims = { word: WORD, rooms: ['tea', 'milk'] };
  const good = tokenOf('ada', claims);
  const tokens = [
    ...[good, good.slice(0, -5), `${good}.x`, signedBySecret(goodClaims(claims), {}, 'another'), WORD],
    ...[signedBySecret({ ...goodClaims(claims), exp: 1 }), signedBySecret({ ...goodClaims(claims), sub: 'server' })],
    ...[signedBySecret(goodClaims({ ...claims, nbf: nowS() + 100 })), signedBySecret(goodClaims({ word: WORD, rooms: WORD }))],
    ...[signingKey(WORD).sign(goodClaims(claims)), signedBySecret(WORD), signedBySecret({ word: WORD })],
    ...[signedBySecret(goodClaims(claims), { crit: [WORD], [WORD]: 1 }), signedBySecret(goodClaims(claims), { alg: WORD })],
  ];
  for (const token of tokens) await statusOf(port, upgradeRequest('/ws/tea', { Authorization: `Bearer ${token}` }));
  for (const path of [`/ws?token=${good}`, `/ws/..?room=${WORD}`, `/${WORD}`]) await statusOf(port, upgradeRequest(path));
  await refused(port, '/ws/tea', { headers: { Authorization: `Bearer ${good}` } }, ['chat-api', `bearer.${good}`]);
  await statusOf(port, upgradeRequest('/ws', { 'X-Word': WORD, Origin: `https://${WORD}.example`, Cookie: WORD }));
  await statusOf(port, `${WORD}\r\n\r\n`);

  const headers = { Authorization: `Bearer ${good}` };
  const client = await connect(port, '/ws/tea', { headers });
  const page = new Client(new WebSocket(`ws://127.0.0.1:${port}/ws/milk`, ['chat-api', `bearer.${good}`]));
  await page.hearsEvent('welcome');
  client.chat(WORD);
  await client.hearsChat(WORD);
  client.chat(WORD, { room: '' });
  await client.hearsError('forbidden');
  for (const text of [WORD, `{"type":"${WORD}"}`, `{"type":"chat","data":"${WORD}"}`, `{"type":"system","id":"${WORD}"}`]) {
    client.send(text);
  }
  await client.hearsError('forbidden_type');
  client.webSocket.send(Buffer.from(WORD));
  await client.closed;
  for (const bytes of [
    clientFrame(0xc1, WORD),
    clientFrame(0x81, Buffer.from([0xff])),
    clientFrame(0x88, `\u0003\u00e8${WORD}`),
  ]) {
    const raw = await rawConnect(port);
    raw.write(Buffer.concat([Buffer.from(upgradeRequest('/ws/tea', headers)), bytes]));
    await raw.receives((received) => received.length > 200);
    raw.socket.destroy();
  }
  await redis.client.publish('chat-api:room:milk', WORD);
  await redis.client.publish('chat-api:room:milk', JSON.stringify({ word: WORD }));
  await service.logged('invalid publication dropped');
  redis.process.kill('SIGSTOP');
  page.chat(WORD);
  await page.hearsError('unconfirmed');
  page.chat(WORD);
  await page.hearsError('unavailable');
  redis.process.kill('SIGCONT');
  await page.close();
  await service.stop();

  const logged = service.logs.map((line) => JSON.stringify(line)).join('\n');
  expect(service.logs.filter(({ msg }) => msg === 'token refused').length).toBeGreaterThan(5);
  const secrets = [WORD, SECRET, ...tokens.flatMap((token) => token.split('.')).filter((part) => part.length > 4)];
  expect(secrets.filter((secret) => logged.includes(secret))).toEqual([]);
  expect(logged).not.toContain(Buffer.from(WORD).toString('base64url').slice(2, -2));
});
