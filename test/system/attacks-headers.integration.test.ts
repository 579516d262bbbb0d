import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { messagesIn, rawConnect, statusOf, upgradeRequest } from '../support/raw.js';
import { startService, type Service } from '../support/service.js';
import { SECRET, tokenOf } from '../support/token.js';

/** More lines than Node keeps by default (2,000), in fewer bytes than all headers may have (16 KiB). */
const PADDING = 'a:b\r\n'.repeat(2100);

let listed: Service;
let guarded: Service;
let proxied: Service;

beforeAll(async () => {
  [listed, guarded, proxied] = await Promise.all([
    startService({ ALLOWED_ORIGINS: 'https://chat.example' }),
    startService({ AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET }),
    startService({ ALLOWED_ORIGINS: 'https://chat.example', TRUST_PROXY: '127.0.0.1', MAX_CONNECTIONS_PER_ADDRESS: '1' }),
  ]);
});

afterAll(async () => {
  await Promise.all([listed, guarded, proxied].map((service) => service.stop('SIGKILL')));
});

/** A good upgrade with one more header, which stands behind all the others and the padding. */
function behindPadding(line: string, headers: Readonly<Record<string, string>> = {}): string {
  return upgradeRequest('/ws/tea', headers).replace(/\r\n$/, `${PADDING}${line}\r\n\r\n`);
}

describe('a header behind 2,100 others counts', () => {
  const token = () => ({ Authorization: `Bearer ${tokenOf('ada')}` });
  test.each<[line: string, service: () => Service, status: number, headers?: () => Record<string, string>]>([
    ['Origin: https://evil.example', () => listed, 403],
    ['Origin: https://chat.example', () => listed, 101],
    ['Host: evil.example', () => listed, 400],
    ['Content-Length: 5', () => listed, 400],
    ['Transfer-Encoding: chunked', () => listed, 400],
    ['Upgrade: h2c', () => listed, 426],
    ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', () => listed, 400],
    ['Sec-WebSocket-Version: 13', () => listed, 400],
    ['Sec-WebSocket-Protocol: ,', () => listed, 400],
    ['Authorization: Bearer x', () => guarded, 401, token],
    ['Sec-WebSocket-Protocol: bearer.x', () => guarded, 401, token],
    ['Origin: https://evil.example', () => guarded, 403, token],
    ['X-Padding: nothing wrong', () => guarded, 101, token],
  ])('%s', async (line, service, status, headers = () => ({})) => {
    expect(await statusOf(service().port, behindPadding(line, headers()))).toBe(status);
  });

  test('Authorization as the only token', async () => {
    expect(await statusOf(guarded.port, behindPadding(`Authorization: Bearer ${tokenOf('ada')}`))).toBe(101);
  });

  test('a second Host of a page', async () => {
    const request = `GET /healthz HTTP/1.1\r\nHost: a\r\n${PADDING}Host: b\r\n\r\n`;
    expect(await statusOf(listed.port, request)).toBe(400);
  });

  test('X-Forwarded-For of a trusted proxy: a limit is that of the client, not that of the proxy', async () => {
    const raws = [];
    for (const client of ['203.0.113.1', '203.0.113.2', '203.0.113.1']) {
      const raw = await rawConnect(proxied.port);
      raw.write(behindPadding(`X-Forwarded-For: ${client}`));
      await raw.receives((received) => received.includes('\r\n'));
      raws.push(raw);
    }
    expect(raws.map(({ received }) => received.toString('latin1').slice(9, 12))).toEqual(['101', '101', '503']);
    for (const raw of raws) raw.socket.destroy();
  });

  test('X-Forwarded-Host of a trusted proxy', async () => {
    const same = await startService({ AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET, TRUST_PROXY: '127.0.0.1' });
    const headers = { ...token(), Origin: 'https://public.example' };
    expect(await statusOf(same.port, behindPadding('X-Forwarded-Host: public.example', headers))).toBe(101);
    await same.stop('SIGKILL');
  });

  test('the subprotocol is chosen', async () => {
    const raw = await rawConnect(listed.port);
    raw.write(behindPadding('Sec-WebSocket-Protocol: chat-api'));
    await raw.receives((received) => messagesIn(received).length > 0);
    expect(raw.received.toString('latin1')).toMatch(/\r\nSec-WebSocket-Protocol: chat-api\r\n/i);
    raw.socket.destroy();
  });
});

test('headers whose names and values have more than 16 KiB together are refused, however short each is', async () => {
  expect(await statusOf(listed.port, upgradeRequest('/ws').replace(/\r\n$/, `${'a:b\r\n'.repeat(8300)}\r\n`))).toBe(431);
});

test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('a header called %s harms nobody', async (name) => {
  const request = upgradeRequest('/ws/tea').replace(/\r\n$/, `${name}: a\r\n${name}: b\r\n\r\n`);
  expect(await statusOf(listed.port, request)).toBe(101);
  expect(await statusOf(listed.port, `GET /healthz HTTP/1.1\r\nHost: a\r\n${name}: b\r\n\r\n`)).toBe(200);
});

test.each(['8', '0xd', '13.0', '1.3e1', '013', '+13', '13,'])(
  'version %p is not 13: the origin of version 8 stands in a header that no guard reads',
  async (version) => {
    const headers = { 'Sec-WebSocket-Version': version, 'Sec-WebSocket-Origin': 'https://evil.example' };
    expect(await statusOf(listed.port, upgradeRequest('/ws/tea', headers))).toBe(400);
  },
);
