import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connect, refused } from '../support/client.js';
import { rawConnect, statusOf, upgradeRequest, type Raw } from '../support/raw.js';
import { startService, type Service } from '../support/service.js';
import { SECRET, tokenOf } from '../support/token.js';

const AUTH = { AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET };

let open: Service;
let same: Service;
let listed: Service;
let proxied: Service;

beforeAll(async () => {
  [open, same, listed, proxied] = await Promise.all([
    startService(),
    startService(AUTH),
    startService({ ...AUTH, ALLOWED_ORIGINS: 'https://chat.example,https://chat.example:8443' }),
    startService({ ...AUTH, TRUST_PROXY: '127.0.0.1', MAX_CONNECTIONS_PER_ADDRESS: '2' }),
  ]);
});

afterAll(async () => {
  await Promise.all([open, same, listed, proxied].map((service) => service.stop('SIGKILL')));
});

/** What somebody's browser sends for a page of an origin: with the token that the page stole or was given. */
function from(origin: string | undefined, more: Readonly<Record<string, string>> = {}): string {
  return upgradeRequest('/ws/tea', {
    ...(origin !== undefined && { Origin: origin }),
    Authorization: `Bearer ${tokenOf('ada')}`,
    ...more,
  });
}

describe('a page of another site', () => {
  test.each([
    ...[
      'https://evil.example',
      'null',
      '',
      'http://localhost',
      'https://127.0.0.1.evil.example',
      'http://127.0.0.1:1',
      'file://',
    ],
    ...['127.0.0.1', 'https://127.0.0.1@evil.example', 'https://chat.example'],
  ])('%p is refused where authentication is on and nothing is said of origins, though its token is good', async (origin) => {
    expect(await statusOf(same.port, from(origin))).toBe(403);
  });

  test.each([
    ...[
      'https://evil.example',
      'null',
      '',
      'http://chat.example',
      'https://chat.example:443',
      'https://chat.example.evil.example',
    ],
    ...['https://chat.example/', 'https://Chat.example', 'https://chat.example, https://chat.example:8443'],
  ])('%p is refused where it is not in the list', async (origin) => {
    expect(await statusOf(listed.port, from(origin))).toBe(403);
  });

  test('is refused before its token is looked at, told nothing of it, and counted', async () => {
    const headers = { Origin: 'https://evil.example', Authorization: 'Bearer x' };
    const { status, body, headers: answered } = await refused(same.port, '/ws/tea', { headers });
    expect({ status, code: body.error.code }).toEqual({ status: 403, code: 'origin' });
    expect(answered['www-authenticate']).toBeUndefined();
    expect(await same.metric('chat_upgrades_refused_total{reason="origin"}')).toBeGreaterThan(0);
  });

  test('is refused that names two origins', async () => {
    const request = from('https://chat.example').replace('Origin:', 'Origin: https://evil.example\r\nOrigin:');
    expect(await statusOf(listed.port, request)).toBe(403);
  });

  test('cannot say what the service is called: X-Forwarded-Host of a stranger does not count', async () => {
    expect(await statusOf(same.port, from('https://evil.example', { 'X-Forwarded-Host': 'evil.example' }))).toBe(403);
  });
});

describe('who may come', () => {
  test.each<[what: string, service: () => Service, origin: () => string | undefined, more?: Record<string, string>]>([
    ['a page of the same host', () => same, () => `http://127.0.0.1:${same.port}`, {}],
    ['a page in the list', () => listed, () => 'https://chat.example:8443'],
    ['what is no browser, with same origin', () => same, () => undefined],
    ['what is no browser, with a list', () => listed, () => undefined],
    [
      'a page of the host that a trusted proxy names',
      () => proxied,
      () => 'https://a.example',
      { 'X-Forwarded-Host': 'a.example' },
    ],
    ['any page, without authentication', () => open, () => 'https://evil.example'],
    ['a page without a name, without authentication', () => open, () => 'null'],
  ])('%s', async (_, service, origin, more = {}) => {
    const host = origin()?.startsWith('http://127') ? { Host: `127.0.0.1:${service().port}` } : {};
    expect(await statusOf(service().port, from(origin(), { ...host, ...more }))).toBe(101);
  });
});

describe('MAX_CONNECTIONS_PER_ADDRESS', () => {
  const opened: Raw[] = [];
  /** The status for a request that a proxy passes on; who is let in stays. */
  async function arrive(forwardedFor: string): Promise<number> {
    const raw = await rawConnect(proxied.port);
    raw.write(from(undefined, { 'X-Forwarded-For': forwardedFor }));
    await raw.receives((received) => received.includes('\r\n'));
    opened.push(raw);
    return Number(raw.received.toString('latin1').split(' ')[1]);
  }

  test('holds for each address that a trusted proxy names, whatever the client put before it', async () => {
    expect([await arrive('203.0.113.1'), await arrive('198.51.100.1, 203.0.113.1')]).toEqual([101, 101]);
    expect(await arrive('198.51.100.2, 203.0.113.1')).toBe(503);
    expect(await arrive('203.0.113.2')).toBe(101);
  });

  test('holds for a /64 of IPv6, in which one client has all addresses', async () => {
    expect([await arrive('2001:db8:1:1::1'), await arrive('2001:DB8:1:1:ffff::2')]).toEqual([101, 101]);
    expect(await arrive('[2001:db8:1:1::3]:4711')).toBe(503);
    expect(await arrive('2001:db8:1:2::1')).toBe(101);
  });

  test('makes room when somebody leaves', async () => {
    const before = await proxied.metric('chat_connections');
    for (const raw of opened.splice(0)) raw.socket.destroy();
    await proxied.metricIs('chat_connections', before - 6);
    expect([await arrive('203.0.113.1'), await arrive('203.0.113.1'), await arrive('203.0.113.1')]).toEqual([101, 101, 503]);
  });

  test('is not evaded where no proxy is trusted', async () => {
    const limited = await startService({ MAX_CONNECTIONS_PER_ADDRESS: '1' });
    await connect(limited.port);
    const { status, body, headers } = await refused(limited.port, '/ws', { headers: { 'X-Forwarded-For': '203.0.113.9' } });
    expect({ status, code: body.error.code }).toEqual({ status: 503, code: 'overloaded' });
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    await limited.stop('SIGKILL');
  });
});
