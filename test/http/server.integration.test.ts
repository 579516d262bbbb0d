import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Client, connect, refused, type Heard } from '../support/client.js';
import { clientFrame, closeCodeIn, messagesIn, rawConnect, rawUpgrade, upgradeRequest } from '../support/raw.js';
import { freePort } from '../support/redis.js';
import { startService, type Service } from '../support/service.js';
import { WebSocket } from 'ws';

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The service with its defaults, for tests that leave it as it was. */
let service: Service;
/** Services of a test's own. */
const own: Service[] = [];

beforeAll(async () => {
  service = await startService();
});

afterEach(async () => {
  await Promise.all(own.splice(0).map((each) => each.stop('SIGKILL')));
});

afterAll(async () => {
  await service.stop('SIGKILL');
});

async function start(environment: Readonly<Record<string, string>>): Promise<Service> {
  const started = await startService(environment);
  own.push(started);
  return started;
}

/** Sends a request byte for byte and reads until the server closes. */
async function ask(port: number, request: string): Promise<Reply> {
  const raw = await rawConnect(port);
  raw.write(request);
  return parsed(await raw.text());
}

function parsed(text: string): Reply {
  const [head = '', ...body] = text.split('\r\n\r\n');
  const [line = '', ...lines] = head.split('\r\n');
  const headers = lines.map((each) => [each.slice(0, each.indexOf(':')).toLowerCase(), each.slice(each.indexOf(':') + 1).trim()]);
  return {
    status: Number(line.split(' ')[1]),
    headers: Object.fromEntries(headers) as Record<string, string>,
    body: body.join('\r\n\r\n'),
  };
}

function plain(method: string, path: string, headers: Readonly<Record<string, string>> = {}): string {
  const all = { Host: '127.0.0.1', Connection: 'close', ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
}

/** The code of a JSON error body, which is checked to be one. */
function errorCode({ headers, body }: Reply): unknown {
  expect(headers['content-type']).toBe('application/json');
  expect(headers['content-length']).toBe(String(Buffer.byteLength(body)));
  const value = JSON.parse(body) as { error: Record<string, unknown> };
  expect(value).toEqual({ error: { code: expect.any(String), message: expect.any(String) } });
  return value.error['code'];
}

async function roomsOf(path: string): Promise<unknown> {
  const client = await connect(service.port, path);
  const welcome = await client.hearsEvent('welcome');
  await client.close();
  return welcome.data['rooms'];
}

function isChat({ type }: Heard): boolean {
  return type === 'chat';
}

describe('a WebSocket path', () => {
  test.each([
    ['/api/chat-api/ws', []],
    ['/api/chat-api/ws/tea', ['tea']],
    ['/api/chat-api/ws?room=a&room=b', ['a', 'b']],
    ['/api/chat-api/ws/tea?room=a', ['tea', 'a']],
    ['/ws', []],
    ['/ws/tea', ['tea']],
    ['/ws?room=a&room=b', ['a', 'b']],
    ['/ws/tea?room=tea&room=tea', ['tea']],
    ['/ws/%C3%A9t%C3%A9', ['été']],
    ['/ws?room=green+tea', ['green tea']],
    ['/ws/green+tea', ['green+tea']],
    ['/ws/...', ['...']],
    ['/ws?other=a&Room=b&room=c', ['c']],
    ['/ws?100%=1&room=a', ['a']],
  ])('%s puts a client into the rooms it names', async (path, rooms) => {
    expect(await roomsOf(path)).toEqual(rooms);
  });

  test('takes a name of 128 bytes', async () => {
    expect(await roomsOf(`/ws/${'a'.repeat(128)}`)).toEqual(['a'.repeat(128)]);
    expect(await roomsOf(`/ws/${'%C3%A9'.repeat(64)}`)).toEqual(['é'.repeat(64)]);
  });

  test('takes 100 rooms', async () => {
    const rooms = Array.from({ length: 100 }, (_, n) => `room-${n}`);
    expect(await roomsOf(`/ws?${rooms.map((room) => `room=${room}`).join('&')}`)).toEqual(rooms);
  });

  test.each(['/api/chat-api/ws', '/api/chat-api/ws/tea', '/ws', '/ws/tea', '/ws?room=a', '/ws/../healthz'])(
    '%s without an upgrade is answered 426',
    async (path) => {
      const reply = await ask(service.port, plain('GET', path));
      expect(reply.status).toBe(426);
      expect(reply.headers['upgrade']).toBe('websocket');
      expect(errorCode(reply)).toBe('upgrade_required');
    },
  );

  test('HEAD without an upgrade is answered 426 without a body', async () => {
    const reply = await ask(service.port, plain('HEAD', '/ws'));
    expect(reply.status).toBe(426);
    expect(reply.headers['upgrade']).toBe('websocket');
    expect(reply.body).toBe('');
  });

  test('half an upgrade is none', async () => {
    const [noConnection, noUpgrade] = await Promise.all([
      ask(service.port, plain('GET', '/ws', { Upgrade: 'websocket' })),
      ask(service.port, plain('GET', '/ws', { Connection: 'Upgrade, close' })),
    ]);
    expect(noConnection.status).toBe(426);
    expect(noUpgrade.status).toBe(426);
  });

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('%s is answered 405 with Allow', async (method) => {
    const reply = await ask(service.port, plain(method, '/ws/tea'));
    expect(reply.status).toBe(405);
    expect(reply.headers['allow']).toMatch(/^GET\b/);
    expect(errorCode(reply)).toBe('method');
  });

  test('CONNECT is answered 405 with Allow, and 404 where it names another host', async () => {
    const [here, elsewhere] = await Promise.all([
      ask(service.port, plain('CONNECT', '/ws/tea')),
      ask(service.port, plain('CONNECT', 'chat.example:443')),
    ]);
    expect(here.status).toBe(405);
    expect(here.headers['allow']).toMatch(/^GET\b/);
    expect(errorCode(here)).toBe('method');
    expect(elsewhere.status).toBe(404);
    expect(errorCode(elsewhere)).toBe('not_found');
  });

  test('an upgrade by POST is answered 405 with Allow', async () => {
    const reply = await ask(service.port, upgradeRequest('/ws').replace('GET', 'POST'));
    expect(reply.status).toBe(405);
    expect(reply.headers['allow']).toMatch(/^GET\b/);
    expect(errorCode(reply)).toBe('method');
  });
});

describe('a bad room', () => {
  const many = Array.from({ length: 101 }, (_, n) => `room=${n}`).join('&');
  test.each([
    ['no hex digits after %', '/ws/%zz'],
    ['a lone %', '/ws/%'],
    ['an empty name in the path', '/ws/'],
    ['an empty name in the query', '/ws?room='],
    ['a name without =', '/ws?room'],
    ['one empty name among good ones', '/ws/tea?room=a&room='],
    ['overlong UTF-8', '/ws/%C0%AF'],
    ['half a UTF-8 character', '/ws/%C3'],
    ['a surrogate in UTF-8', '/ws/%ED%A0%80'],
    ['NUL', '/ws/%00'],
    ['a control character', '/ws/a%0Ab'],
    ['a C1 control character', '/ws/a%C2%85b'],
    ['an encoded slash', '/ws/a%2Fb'],
    ['a plain slash', '/ws/a/b'],
    ['a trailing slash', '/ws/tea/'],
    ['.', '/ws/.'],
    ['..', '/ws/..'],
    ['an encoded ..', '/ws/%2E%2E'],
    ['a way to another page', '/ws/../healthz'],
    ['white space in front', '/ws/%20tea'],
    ['white space behind', '/ws?room=tea+'],
    ['129 bytes', `/ws/${'a'.repeat(129)}`],
    ['130 bytes in 65 characters', `/ws/${'%C3%A9'.repeat(65)}`],
    ['101 rooms', `/ws?${many}`],
    ['a list as other services write it', '/ws?room[]=a'],
  ])('(%s) is answered 400', async (_, path) => {
    const reply = await ask(service.port, upgradeRequest(path));
    expect(reply.status).toBe(400);
    expect(errorCode(reply)).toBe('bad_room');
  });

  test('is counted', async () => {
    const line = 'chat_upgrades_refused_total{reason="bad_room"}';
    const before = await service.metric(line);
    await ask(service.port, upgradeRequest('/ws/'));
    expect(await service.metric(line)).toBe(before + 1);
  });

  test('comes to an ordinary client as a response', async () => {
    const { status, body } = await refused(service.port, '/ws?room=');
    expect({ status, code: body.error.code }).toEqual({ status: 400, code: 'bad_room' });
  });
});

describe('an unknown path', () => {
  test.each([
    '/',
    '/wsx',
    '/WS',
    '//ws',
    '/api/chat-api',
    '/api/chat-api/',
    '/api/chat-api/healthz/',
    '/API/chat-api/ws',
    '/healthz/',
    '/metrics/x',
    '/api/chat-api/../../ws',
    '/%77s',
  ])('%s is answered 404', async (path) => {
    const reply = await ask(service.port, plain('GET', path));
    expect(reply.status).toBe(404);
    expect(errorCode(reply)).toBe('not_found');
  });

  test('is answered 404 to an upgrade and to any method', async () => {
    const [upgrade, post] = await Promise.all([
      ask(service.port, upgradeRequest('/nowhere')),
      ask(service.port, plain('POST', '/nowhere')),
    ]);
    expect([upgrade.status, errorCode(upgrade)]).toEqual([404, 'not_found']);
    expect([post.status, errorCode(post)]).toEqual([404, 'not_found']);
  });
});

describe('a page', () => {
  test('/healthz is alive', async () => {
    const reply = await ask(service.port, plain('GET', '/healthz?probe=1'));
    expect(reply.status).toBe(200);
    expect(reply.headers['content-type']).toBe('application/json');
    expect(JSON.parse(reply.body)).toEqual({ status: 'alive' });
  });

  test('/readyz is ready', async () => {
    const reply = await ask(service.port, plain('GET', '/readyz'));
    expect(reply.status).toBe(200);
    expect(JSON.parse(reply.body)).toEqual({ status: 'ready' });
  });

  test("/metrics has the service's metrics and the process's", async () => {
    const reply = await ask(service.port, plain('GET', '/metrics'));
    expect(reply.status).toBe(200);
    expect(reply.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
    const names = [...reply.body.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        'chat_connections',
        'chat_rooms',
        'chat_messages_received_total',
        'chat_messages_published_total',
        'chat_messages_delivered_total',
        'chat_send_buffer_messages',
        'chat_closes_total',
        'chat_upgrades_refused_total',
        'chat_errors_total',
        'chat_publish_duration_seconds',
        'chat_delivery_lag_seconds',
        'chat_broker_up',
        'chat_broker_reconnects_total',
        'chat_broker_invalid_total',
        'process_cpu_seconds_total',
        'nodejs_eventloop_lag_seconds',
      ]),
    );
  });

  test.each(['/healthz', '/readyz', '/metrics'])('%s answers HEAD like GET, without the body', async (path) => {
    const reply = await ask(service.port, plain('HEAD', path));
    expect(reply.status).toBe(200);
    expect(Number(reply.headers['content-length'])).toBeGreaterThan(0);
    expect(reply.body).toBe('');
  });

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('%s is answered 405 with Allow', async (method) => {
    const replies = await Promise.all(['/healthz', '/readyz', '/metrics'].map((path) => ask(service.port, plain(method, path))));
    for (const reply of replies) {
      expect(reply.status).toBe(405);
      expect(reply.headers['allow']).toBe('GET, HEAD');
      expect(errorCode(reply)).toBe('method');
    }
  });

  test('/readyz says 503 and why, and /healthz 200, where Redis cannot be reached', async () => {
    const lonely = await start({ REDIS_URL: `redis://127.0.0.1:${await freePort()}` });
    const [ready, alive] = await Promise.all([lonely.get('/readyz'), lonely.get('/healthz')]);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toEqual({ error: { code: 'broker_down', message: expect.stringMatching(/./) } });
    expect(alive.status).toBe(200);
  });
});

test('a connection waits for its next request longer than load balancers keep theirs, which is 60 s', async () => {
  const raw = await rawConnect(service.port);
  raw.write(plain('GET', '/healthz', { Connection: 'keep-alive' }));
  await raw.receives((received) => received.includes('alive"}'));
  expect(Number(/timeout=(\d+)/.exec(parsed(raw.received.toString()).headers['keep-alive'] ?? '')?.[1])).toBeGreaterThan(60);
  raw.socket.destroy();
});

test('a thousand clients that come while the pod does something else have their places in its queue', async () => {
  const busy = await start({});
  busy.process.kill('SIGSTOP');
  // None of these would resolve where the kernel had no place for it.
  const raws = await Promise.all(Array.from({ length: 1000 }, () => rawConnect(busy.port)));
  busy.process.kill('SIGCONT');
  expect((await busy.get('/healthz')).status).toBe(200);
  for (const { socket } of raws) socket.destroy();
});

describe('a request that is not well-formed', () => {
  test('headers of 20 KB are answered 431', async () => {
    const big = { 'X-Big': 'a'.repeat(20 * 1024) };
    const replies = await Promise.all([
      ask(service.port, plain('GET', '/healthz', big)),
      ask(service.port, upgradeRequest('/ws', big)),
    ]);
    for (const reply of replies) {
      expect(reply.status).toBe(431);
      expect(errorCode(reply)).toBe('headers_too_large');
    }
  });

  test('what is not HTTP is answered 400', async () => {
    const reply = await ask(service.port, 'hello?\r\n\r\n');
    expect(reply.status).toBe(400);
    expect(errorCode(reply)).toBe('bad_request');
  });

  test('HTTP/1.1 without Host is answered 400 with a JSON body', async () => {
    const reply = await ask(service.port, 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n');
    expect(reply.status).toBe(400);
    expect(errorCode(reply)).toEqual(expect.any(String));
  });

  test('an expectation that nobody knows is answered 417 with a JSON body', async () => {
    const reply = await ask(service.port, plain('GET', '/healthz', { Expect: 'miracles' }));
    expect(reply.status).toBe(417);
    expect(errorCode(reply)).toEqual(expect.any(String));
  });

  test('clients that reset at once leave nothing behind', async () => {
    const paths = ['/ws/tea', '/ws/', '/healthz', '/ws/tea', '/ws'];
    const raws = await Promise.all(paths.map(() => rawConnect(service.port)));
    for (const [n, raw] of raws.entries()) {
      raw.write(upgradeRequest(paths[n] ?? '/ws'));
      raw.socket.resetAndDestroy();
    }
    await Promise.all(raws.map(({ closed }) => closed));
    await service.metricIs('chat_connections', 0);
    expect((await service.get('/healthz')).status).toBe(200);
  });
});

describe('an upgrade', () => {
  test('to h2c is ignored: a page answers 200, a WebSocket path 426', async () => {
    const h2c = { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQAAP__' };
    const [page, webSocket, nowhere] = await Promise.all([
      ask(service.port, plain('GET', '/healthz', h2c)),
      ask(service.port, plain('GET', '/ws', h2c)),
      ask(service.port, plain('GET', '/nowhere', h2c)),
    ]);
    expect(page.status).toBe(200);
    expect(JSON.parse(page.body)).toEqual({ status: 'alive' });
    expect(webSocket.status).toBe(426);
    expect(webSocket.headers['upgrade']).toBe('websocket');
    expect(errorCode(webSocket)).toBe('upgrade_required');
    expect(nowhere.status).toBe(404);
  });

  test('names websocket in any case', async () => {
    const raw = await rawConnect(service.port);
    raw.write(upgradeRequest('/ws', { Upgrade: 'WebSocket', Connection: 'keep-alive, UPGRADE' }));
    await raw.receives((received) => messagesIn(received).length > 0);
    expect(parsed(raw.received.toString('latin1')).status).toBe(101);
    raw.socket.destroy();
  });

  test('by HTTP/1.0 is none', async () => {
    const reply = await ask(service.port, upgradeRequest('/ws').replace('HTTP/1.1', 'HTTP/1.0'));
    expect(reply.status).toBe(426);
    expect(errorCode(reply)).toBe('upgrade_required');
  });

  test.each([
    ['no key', { 'Sec-WebSocket-Key': undefined }],
    ['a key that is too short', { 'Sec-WebSocket-Key': 'c2hvcnQ=' }],
    ['a key that is not base64', { 'Sec-WebSocket-Key': '!!!!!!!!!!!!!!!!!!!!!!==' }],
    ['no version', { 'Sec-WebSocket-Version': undefined }],
    ['an unknown version', { 'Sec-WebSocket-Version': '99' }],
    ['a version that is no number', { 'Sec-WebSocket-Version': 'x' }],
    ['an empty subprotocol', { 'Sec-WebSocket-Protocol': ',' }],
  ])('with %s is answered 400', async (_, { ...headers }) => {
    const line = 'chat_upgrades_refused_total{reason="bad_request"}';
    const before = await service.metric(line);
    const reply = await ask(service.port, withHeaders('/ws/tea', headers));
    expect(reply.status).toBe(400);
    expect(errorCode(reply)).toBe('bad_request');
    expect(await service.metric(line)).toBe(before + 1);
  });

  test('with an unknown version is told the versions there are', async () => {
    const reply = await ask(service.port, upgradeRequest('/ws', { 'Sec-WebSocket-Version': '99' }));
    // RFC 6455 section 4.4
    expect(reply.headers['sec-websocket-version']).toMatch(/\b13\b/);
  });

  test.each([
    [['chat-api'], 'chat-api'],
    [['graphql-ws', 'chat-api'], 'chat-api'],
    [['chat-api', 'token.abc'], 'chat-api'],
    [['token.abc'], undefined],
    [['CHAT-API'], undefined],
    [[], undefined],
  ])('that offers the subprotocols %j gets %j', async (offered, chosen) => {
    const raw = await rawConnect(service.port);
    const headers = offered.length > 0 ? { 'Sec-WebSocket-Protocol': offered.join(', ') } : {};
    raw.write(upgradeRequest('/ws', headers));
    await raw.receives((received) => messagesIn(received).length > 0);
    const reply = parsed(raw.received.toString('latin1'));
    expect(reply.status).toBe(101);
    expect(reply.headers['sec-websocket-protocol']).toBe(chosen);
    expect(reply.headers['sec-websocket-extensions']).toBeUndefined();
    raw.socket.destroy();
  });

  test('with the subprotocol chat-api satisfies an ordinary client', async () => {
    const client = new Client(new WebSocket(`ws://127.0.0.1:${service.port}/ws`, ['chat-api']));
    await client.hearsEvent('welcome');
    expect(client.webSocket.protocol).toBe('chat-api');
    await client.close();
  });
});

function withHeaders(path: string, headers: Readonly<Record<string, string | undefined>>): string {
  const lines = upgradeRequest(path)
    .split('\r\n')
    .filter((line) => !Object.keys(headers).includes(line.split(':')[0] ?? ''));
  const added = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  return [lines[0], ...added, ...lines.slice(1)].join('\r\n');
}

describe('early data', () => {
  test('that comes with the upgrade is handled, in order and after the welcome', async () => {
    const raw = await rawConnect(service.port);
    const contents = Array.from({ length: 100 }, (_, n) => `early ${n}`);
    const frames = contents.map((content) => clientFrame(0x81, JSON.stringify({ type: 'chat', data: { content } })));
    const ping = clientFrame(0x81, '{"type":"ping","id":"early","data":{"n":1}}');
    raw.write(Buffer.concat([Buffer.from(upgradeRequest('/ws/early')), ping, ...frames]));
    await raw.receives((received) => messagesIn(received).filter(isChat).length === contents.length);
    const heard = messagesIn(raw.received);
    expect(heard[0]).toMatchObject({ type: 'system', data: { event: 'welcome', rooms: ['early'] } });
    expect(heard.find(({ type }) => type === 'pong')).toMatchObject({ id: 'early', data: { n: 1 } });
    expect(heard.filter(isChat).map(({ data }) => data['content'])).toEqual(contents);
    raw.socket.destroy();
  });

  test('that is half a frame is completed by what comes later', async () => {
    const raw = await rawConnect(service.port);
    const frame = clientFrame(0x81, '{"type":"ping","id":"half"}');
    raw.write(Buffer.concat([Buffer.from(upgradeRequest('/ws')), frame.subarray(0, 9)]));
    await raw.receives((received) => messagesIn(received).length > 0);
    raw.write(frame.subarray(9));
    await raw.receives((received) => messagesIn(received).some(({ id }) => id === 'half'));
    raw.socket.destroy();
  });

  test('that is a close is answered', async () => {
    const raw = await rawConnect(service.port);
    raw.write(Buffer.concat([Buffer.from(upgradeRequest('/ws')), clientFrame(0x88, Buffer.from([0x03, 0xe8]))]));
    await raw.closed;
    expect(closeCodeIn(raw.received)).toBe(1000);
  });

  test('that breaks the protocol closes with 1002', async () => {
    const raw = await rawConnect(service.port);
    raw.write(Buffer.concat([Buffer.from(upgradeRequest('/ws')), Buffer.from([0x81, 0x01, 0x61])]));
    await raw.closed;
    expect(closeCodeIn(raw.received)).toBe(1002);
  });
});

describe('a pod that takes no more', () => {
  test('refuses with 503 and Retry-After over MAX_CONNECTIONS, until somebody leaves', async () => {
    const full = await start({ MAX_CONNECTIONS: '1' });
    const first = await connect(full.port);
    const { status, headers, body } = await refused(full.port, '/ws/tea');
    expect({ status, code: body.error.code }).toEqual({ status: 503, code: 'overloaded' });
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect(await full.metric('chat_upgrades_refused_total{reason="overloaded"}')).toBe(1);
    first.chat('undisturbed');
    await first.hearsChat('undisturbed');
    await first.close();
    await full.metricIs('chat_connections', 0);
    await (await connect(full.port)).close();
  });

  test('refuses with 503 and Retry-After while it drains, is not ready and lives', async () => {
    const draining = await start({ SHUTDOWN_DELAY_MS: '60000' });
    const stays = await connect(draining.port, '/ws/tea');
    draining.process.kill('SIGTERM');
    await draining.logged('draining');
    const { status, headers, body } = await refused(draining.port, '/ws/tea');
    expect({ status, code: body.error.code }).toEqual({ status: 503, code: 'draining' });
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    const [ready, alive] = await Promise.all([draining.get('/readyz'), draining.get('/healthz')]);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toEqual({ error: { code: 'draining', message: expect.any(String) } });
    expect(alive.status).toBe(200);
    stays.chat('still here');
    await stays.hearsChat('still here');
  });
});

describe('BASE_PATH', () => {
  test.each([
    ['/chat', '/chat/ws/tea'],
    ['/a/b/', '/a/b/ws/tea'],
    ['/', '/ws/tea'],
  ])('%s serves %s and what an ingress stripped of it', async (basePath, path) => {
    const based = await start({ BASE_PATH: basePath });
    for (const each of [path, '/ws/tea']) {
      const client = await connect(based.port, each);
      expect((await client.hearsEvent('welcome')).data['rooms']).toEqual(['tea']);
      await client.close();
    }
    expect((await refused(based.port, '/api/chat-api/ws')).status).toBe(404);
    expect((await based.get('/healthz')).status).toBe(200);
  });
});

describe('UPGRADE_TIMEOUT_MS', () => {
  let impatient: Service;

  beforeAll(async () => {
    impatient = await startService({ UPGRADE_TIMEOUT_MS: '200' });
  });

  afterAll(async () => {
    await impatient.stop('SIGKILL');
  });

  test('ends an upgrade whose headers never finish', async () => {
    const raw = await rawConnect(impatient.port);
    raw.write(upgradeRequest('/ws').slice(0, -2));
    const reply = parsed(await raw.text());
    expect(reply.status).toBe(408);
    expect(errorCode(reply)).toBe('timeout');
  });

  test('ends an upgrade whose headers come in drops', async () => {
    const raw = await rawConnect(impatient.port);
    raw.write(upgradeRequest('/ws').slice(0, -2));
    const drops = setInterval(() => {
      raw.write('X: y\r\n');
    }, 20);
    await raw.closed;
    clearInterval(drops);
    expect(raw.received.toString()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('ends a connection on which nothing is said', async () => {
    const raw = await rawConnect(impatient.port);
    await raw.closed;
    expect(raw.received.toString()).not.toMatch(/ 101 /);
  });

  test('does not end a WebSocket, however silent', async () => {
    const silent = await rawUpgrade(impatient.port, '/ws/tea');
    const [a, b] = await Promise.all([rawConnect(impatient.port), rawConnect(impatient.port)]);
    await Promise.all([a.closed, b.closed]);
    silent.write(clientFrame(0x81, '{"type":"ping","id":"late"}'));
    await silent.receives((received) => messagesIn(received).some(({ id }) => id === 'late'));
    silent.socket.destroy();
  });
});

test('clients that reset their connection in the middle of an upgrade, whatever becomes of it, harm nobody', async () => {
  const service = await startService();
  const requests = [
    upgradeRequest('/ws').replace(/Host: [^\r]*\r\n/, ''),
    upgradeRequest('/ws'),
    upgradeRequest('/ws/%zz'),
    upgradeRequest('/nowhere'),
    upgradeRequest('/ws', { 'Sec-WebSocket-Version': '12' }),
    upgradeRequest('/healthz', { Upgrade: 'h2c' }),
  ];
  for (let round = 0; round < 150; round++) {
    const raws = await Promise.all(requests.map(() => rawConnect(service.port)));
    for (const [nth, raw] of raws.entries()) {
      raw.write(requests[nth] ?? '');
      raw.socket.resetAndDestroy();
    }
    await Promise.all(raws.map(({ closed }) => closed));
  }
  expect((await service.get('/healthz')).status).toBe(200);
  await service.metricIs('chat_connections', 0);
  expect(await service.stop()).toBe(0);
});
