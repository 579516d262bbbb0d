import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connect } from '../support/client.js';
import { messagesIn, rawConnect, statusOf, upgradeRequest } from '../support/raw.js';
import { startService, type Service } from '../support/service.js';
import { SECRET, tokenOf } from '../support/token.js';

/** Beside what http.integration.test.ts says of paths, of which nothing is repeated here. */

let service: Service;
let guarded: Service;

beforeAll(async () => {
  [service, guarded] = await Promise.all([startService(), startService({ AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET })]);
});

afterAll(async () => {
  await Promise.all([service, guarded].map((each) => each.stop('SIGKILL')));
});

describe('paths that mean to be another', () => {
  test.each([
    ['/ws/..%2f..%2fetc', 400],
    ['/ws/%2e%2e%2f', 400],
    ['/ws/%252e%252e', 101],
    ['/ws/a%5Cb', 101],
    ['/ws/a\\b', 101],
    ['/ws/a%3Fb', 101],
    ['/ws/%E2%80%A8', 400],
    ['/ws/%F0%80%80%AF', 400],
    ['/ws/%F8%88%80%80%80', 400],
    ['/ws/%u002e', 400],
    [`/ws/${'a'.repeat(10_240)}`, 400],
    [`/ws/${'%61'.repeat(129)}`, 400],
    [`/ws?room=${'a'.repeat(10_240)}`, 400],
    [`/ws?${'&'.repeat(10_240)}`, 101],
    ['/ws;/tea', 404],
    ['/ws/%2F', 400],
    ['/./ws/tea', 404],
    ['/api/chat-api/%77s', 404],
    ['http://127.0.0.1/ws/tea', 101],
    ['http://127.0.0.1/../ws/tea', 404],
    ['https://evil.example/metrics/../ws', 404],
    ['*', 404],
  ])('%s: %p', async (path, status) => {
    expect(await statusOf(service.port, upgradeRequest(path))).toBe(status);
  });

  test('a name stays what it was, encoded twice or not', async () => {
    for (const [path, room] of [
      ['/ws/%252e%252e', '%2e%2e'],
      ['/ws/a%5Cb', 'a\\b'],
      ['/ws/tea%3Froom=milk', 'tea?room=milk'],
      ['/ws/e%CC%81', 'e\u0301'],
    ] as const) {
      const client = await connect(service.port, path);
      expect(client.heard[0]?.data['rooms']).toEqual([room]);
      await client.close();
    }
  });

  test('a path is no way around a grant', async () => {
    const request = (path: string) => upgradeRequest(path, { Authorization: `Bearer ${tokenOf('ada', { rooms: ['tea'] })}` });
    const paths = [
      '/ws/milk',
      '/ws/tea?room=milk',
      '/ws/TEA',
      '/ws/te%C3%A1',
      '/ws/tea%E2%80%8B',
      '/ws?room=tea&room=te',
      '/ws/*',
    ];
    const got = await Promise.all(paths.map((path) => statusOf(guarded.port, request(path))));
    expect(got).toEqual(paths.map(() => 403));
    expect(await statusOf(guarded.port, request('/ws/te%61'))).toBe(101);
  });
});

describe('upgrades that mean to be something else to somebody in between', () => {
  const good = upgradeRequest('/ws/tea');
  const added = (lines: string) => good.replace('\r\n\r\n', `\r\n${lines}\r\n\r\n`);
  test.each([
    ['a body of known length', `${added('Content-Length: 5')}hello`, 400],
    ['a body in chunks', `${added('Transfer-Encoding: chunked')}0\r\n\r\n`, 400],
    ['a body in chunks and of known length', `${added('Content-Length: 5\r\nTransfer-Encoding: chunked')}0\r\n\r\n`, 400],
    ['two lengths', `${added('Content-Length: 0\r\nContent-Length: 5')}hello`, 400],
    ['a length that is none', added('Content-Length: -1'), 400],
    ['chunks, nearly', added('Transfer-Encoding: xchunked'), 400],
    ['two Hosts', added('Host: evil.example'), 400],
    ['no Host', good.replace(/Host: [^\r]*\r\n/, ''), 400],
    ['two Upgrades', added('Upgrade: websocket'), 426],
    ['two Upgrades, one to something else', added('Upgrade: h2c'), 426],
    ['a list of Upgrades', good.replace('Upgrade: websocket', 'Upgrade: h2c, websocket'), 426],
    ['two keys', added('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='), 400],
    ['two versions', added('Sec-WebSocket-Version: 13'), 400],
    ['a header folded over two lines', added('X-Folded: a\r\n b'), 400],
    ['a space before the colon', added('X-Space : a'), 400],
    ['a bare line feed in a header', added('X-A: a\nX-B: b'), 400],
    ['NUL in a header', added('X-A: a\u0000b'), 400],
    ['HTTP/0.9', 'GET /ws\r\n\r\n', 426],
    ['HTTP/1.0', good.replace('HTTP/1.1', 'HTTP/1.0'), 426],
    ['HTTP/1.0 without Host', good.replace('HTTP/1.1', 'HTTP/1.0').replace(/Host: [^\r]*\r\n/, ''), 426],
    ['HTTP/2.0', good.replace('HTTP/1.1', 'HTTP/2.0'), 426],
    ['HTTP/2, knowing that it is there', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['a space in the path', good.replace('/ws/tea', '/ws/te a'), 400],
    ['TLS', Buffer.from('16030100c8010000c403035f', 'hex'), 400],
  ])('%s: %p', async (_, request, status) => {
    expect(await statusOf(service.port, request)).toBe(status);
  });

  test('names of headers in any case are the same names', async () => {
    const lower = good.replace(/^[A-Z][\w-]*(?=:)/gm, (name) => name.toLowerCase());
    expect(lower).toContain('sec-websocket-key');
    expect(await statusOf(service.port, lower)).toBe(101);
  });

  test('what stands behind a refused upgrade is not taken for another request', async () => {
    const raw = await rawConnect(service.port);
    raw.write(`${added('Content-Length: 5')}hello${upgradeRequest('/ws/smuggled')}`);
    const text = await raw.text();
    expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
  });

  test.each([
    ['to websocket', good],
    ['to websocket that would be refused', upgradeRequest('/ws/..')],
    ['to something else', 'GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'],
  ])(
    'an upgrade %s behind a request that is not answered yet ends the connection, and nothing is mixed up',
    async (_, upgrade) => {
      const page = 'GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n';
      const expecting = 'GET /healthz HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n';
      for (const before of [page, expecting, page + page, expecting + expecting, page + expecting, expecting + page]) {
        const raw = await rawConnect(service.port);
        raw.write(before + upgrade);
        expect(await raw.text()).not.toMatch(/HTTP\/1\.1 (101|400)|chat_connections/);
      }
      expect((await service.get('/healthz')).status).toBe(200);
    },
  );

  test('a thousand requests in one packet have no more than one answer made, and nobody waits for them', async () => {
    const page = 'GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n';
    const raws = await Promise.all(Array.from({ length: 10 }, () => rawConnect(service.port)));
    for (const raw of raws) raw.write(page.repeat(1000));
    const answers = await Promise.all(raws.map((raw) => raw.text()));
    expect(answers.filter((text) => (text.match(/HTTP\/1\.1 /g) ?? []).length > 1)).toEqual([]);
    expect((await service.get('/healthz')).status).toBe(200);
  });

  test('an upgrade behind a request that is answered is one', async () => {
    const raw = await rawConnect(service.port);
    raw.write('GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n');
    await raw.receives((received) => received.includes('alive'));
    raw.write(good);
    await raw.receives((received) => received.includes('HTTP/1.1 101 '));
    raw.socket.destroy();
  });

  test('what stands behind an upgrade is frames, not another request', async () => {
    const raw = await rawConnect(service.port);
    raw.write(`${good}GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n`);
    await raw.closed;
    expect(raw.received.toString('latin1')).not.toContain('chat_connections');
    expect(messagesIn(raw.received).filter(({ type }) => type === 'chat')).toEqual([]);
  });
});

describe('answers keep browsers from making anything of them', () => {
  test.each([
    ['a page', 'GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'],
    ['an unknown path', 'GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'],
    ['a refused upgrade', upgradeRequest('/ws/..')],
    ['what is no HTTP', 'hello\r\n\r\n'],
  ])('%s', async (_, request) => {
    const raw = await rawConnect(service.port);
    raw.write(request);
    const text = await raw.text();
    expect(text).toMatch(/^x-content-type-options: nosniff\r$/im);
    expect(text).toMatch(/^cache-control: no-store\r$/im);
    expect(text).toMatch(/^content-security-policy: default-src 'none'; frame-ancestors 'none'\r$/im);
    expect(text).toMatch(/^cross-origin-resource-policy: same-origin\r$/im);
    expect(text).not.toMatch(/^(server|x-powered-by):/im);
  });
});
