import { afterEach, expect, test } from '@jest/globals';
import {
  createChatServer,
  silentLogger,
  memoryBroker,
  readConfig,
  type Authorize,
  type ChatServer,
  type Grant,
  type Identity,
} from '../../src/index.js';
import { connect, refused } from '../support/client.js';
import { SECRET, nowS, tokenOf } from '../support/token.js';

/** `authorize` of one's own, as a developer gives it to `createChatServer`. */

const servers: ChatServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(authorize: Authorize, environment: Readonly<Record<string, string>> = {}): Promise<number> {
  const auth = { AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET };
  const server = createChatServer({
    config: readConfig({ HOST: '127.0.0.1', PORT: '0', ...auth, ...environment }),
    broker: memoryBroker(),
    logger: silentLogger,
    authorize,
  });
  servers.push(server);
  return (await server.listen()).port;
}

function ada(claims: Readonly<Record<string, unknown>> = {}) {
  return { headers: { Authorization: `Bearer ${tokenOf('ada', claims)}` } };
}

const tea: Grant = {
  mayJoin: (room) => room === 'tea',
  mayPublish: (room) => room === 'tea',
  mayPublishGlobally: () => false,
};

test('is told whose token it is, what it claims and when it ends', async () => {
  const asked: Identity[] = [];
  const port = await serve((identity) => {
    asked.push(identity);
    return tea;
  });
  const exp = nowS() + 100;
  await (await connect(port, '/ws/tea', ada({ exp, team: 'blue' }))).close();
  expect(asked).toEqual([{ subject: 'ada', claims: { sub: 'ada', exp, team: 'blue' }, expiresAtMs: exp * 1000 }]);
});

test.each<[what: string, authorize: Authorize]>([
  ['at once', () => tea],
  ['later', () => Promise.resolve(tea)],
])('decides %s who joins which room and who publishes where, whatever the claims say', async (_, authorize) => {
  const port = await serve(authorize);
  expect((await refused(port, '/ws/milk', ada({ rooms: ['milk'] }))).status).toBe(403);
  const client = await connect(port, '/ws/tea', ada({ rooms: [], publish: [], global: true }));
  client.chat('hello');
  await client.hearsChat('hello');
  client.chat('hello', { room: '' });
  await client.hearsError('forbidden');
});

test('is asked for each message anew: a grant may change its mind', async () => {
  let isMuted = false;
  const port = await serve(() => ({ ...tea, mayPublish: () => !isMuted }));
  const client = await connect(port, '/ws/tea', ada());
  client.chat('one');
  await client.hearsChat('one');
  isMuted = true;
  client.chat('two');
  await client.hearsError('forbidden');
  isMuted = false;
  client.chat('three');
  await client.hearsChat('three');
  expect(client.chats).toEqual(['one', 'three']);
});

const fail = (): never => {
  throw new Error('no idea');
};

test.each<[what: string, authorize: Authorize, status: number, code: string]>([
  ['grants nothing', () => undefined, 403, 'forbidden'],
  ['grants nothing later', () => Promise.resolve(undefined), 403, 'forbidden'],
  ['throws', fail, 500, 'internal'],
  ['rejects', () => Promise.reject(new Error('no idea')), 500, 'internal'],
  ['does not know a room', () => ({ ...tea, mayJoin: fail }), 500, 'internal'],
  ['never answers', () => new Promise(() => undefined), 503, 'auth_unavailable'],
])('that %s lets nobody in: %p %p', async (_, authorize, status, code) => {
  const port = await serve(authorize, { UPGRADE_TIMEOUT_MS: '300' });
  const answer = await refused(port, '/ws/tea', ada());
  expect({ status: answer.status, code: answer.body.error.code }).toEqual({ status, code });
});

test('is not asked without authentication', async () => {
  const port = await serve(fail, { AUTH_ENABLED: 'false' });
  const client = await connect(port, '/ws/milk');
  client.chat('hello', { room: '' });
  await client.hearsChat('hello');
});
