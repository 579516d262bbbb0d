import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { Client, connect, refused } from '../support/client.js';
import { startService, type Service } from '../support/service.js';
import { SECRET, base64url, goodClaims, nowS, signedBySecret, signingKey } from '../support/token.js';

const ISSUER = 'https://issuer.example/';

/** What `iss` and `aud` of a good token are here. */
const HERE = { iss: ISSUER, aud: 'chat' };

let service: Service;

beforeAll(async () => {
  service = await startService({
    AUTH_ENABLED: 'true',
    AUTH_JWT_SECRET: SECRET,
    AUTH_JWT_ISSUER: ISSUER,
    AUTH_JWT_AUDIENCE: 'chat,chat-admin',
  });
});

afterAll(async () => {
  await service.stop('SIGKILL');
});

function good(more: Readonly<Record<string, unknown>> = {}): string {
  return signedBySecret(goodClaims({ ...HERE, ...more }));
}

function bearer(token: string): { headers: Record<string, string> } {
  return { headers: { Authorization: `Bearer ${token}` } };
}

function swapCase(letter: string): string {
  return letter === 'A' ? 'B' : 'A';
}

/** Another character in the middle of a part of the token. */
function altered(token: string, part: 0 | 1 | 2): string {
  const parts = token.split('.');
  const text = parts[part] ?? '';
  const at = Math.floor(text.length / 2);
  parts[part] = text.slice(0, at) + swapCase(text.charAt(at)) + text.slice(at + 1);
  return parts.join('.');
}

describe('a good token lets in', () => {
  test.each<[what: string, token: () => string]>([
    ['by HS256', () => good()],
    ['by HS384', () => signedBySecret(goodClaims(HERE), { alg: 'HS384' })],
    ['by HS512', () => signedBySecret(goodClaims(HERE), { alg: 'HS512' })],
    ['with the other audience', () => good({ aud: 'chat-admin' })],
    ['with several audiences', () => good({ aud: ['elsewhere', 'chat'] })],
    ['that expired within the leeway of 5 s', () => good({ exp: nowS() - 2 })],
    ['that begins to count within the leeway of 5 s', () => good({ nbf: nowS() + 3 })],
    ['for 30 days', () => good({ exp: nowS() + 30 * 86_400 })],
    ['with a header that nobody knows', () => signedBySecret(goodClaims(HERE), { jku: 'http://evil.example', jwk: {} })],
  ])('%s', async (_, token) => {
    const client = await connect(service.port, '/ws/tea', bearer(token()));
    await client.close();
  });

  test('from a browser, as a subprotocol, which is not the one that is chosen', async () => {
    const client = new Client(new WebSocket(`ws://127.0.0.1:${service.port}/ws/tea`, ['chat-api', `bearer.${good()}`]));
    await client.hearsEvent('welcome');
    expect(client.webSocket.protocol).toBe('chat-api');
    await client.close();
  });
});

describe('a forged token does not', () => {
  const key = signingKey('k', 'RS256');
  const pem = key.publicKey.export({ format: 'pem', type: 'spki' });
  test.each<[what: string, token: () => string]>([
    ['another secret', () => signedBySecret(goodClaims(HERE), {}, SECRET.replace('a', 'b'))],
    ['an empty secret', () => signedBySecret(goodClaims(HERE), {}, '')],
    ['no signature, and says so', () => `${base64url({ alg: 'none' })}.${base64url(goodClaims(HERE))}.`],
    ['no signature, and says so otherwise', () => `${base64url({ alg: 'NonE' })}.${base64url(goodClaims(HERE))}.`],
    ['none as its algorithm, and a good signature', () => signedBySecret(goodClaims(HERE), { alg: 'none' })],
    ['the signature cut off', () => good().replace(/[^.]*$/, '')],
    ['the signature cut short', () => good().slice(0, -4)],
    ['the last part cut off', () => good().replace(/\.[^.]*$/, '')],
    ['a part too many', () => `${good()}.e30`],
    ['another header', () => altered(good(), 0)],
    ['other claims', () => altered(good(), 1)],
    ['another signature', () => altered(good(), 2)],
    ['the signature of another token', () => `${good().replace(/[^.]*$/, '')}${good({ sub: 'eve' }).split('.')[2] ?? ''}`],
    ['an algorithm of key pairs', () => key.sign(goodClaims(HERE))],
    ['the public key as the secret', () => signedBySecret(goodClaims(HERE), {}, Buffer.from(pem))],
    ['another hash than it says', () => signedBySecret(goodClaims(HERE), { alg: 'HS257' })],
    ['no algorithm', () => signedBySecret(goodClaims(HERE), { alg: undefined })],
    ['a number as its algorithm', () => signedBySecret(goodClaims(HERE), { alg: 256 })],
    ['an array as its algorithm', () => signedBySecret(goodClaims(HERE), { alg: ['HS256'] })],
    ['a key of its own', () => signedBySecret(goodClaims(HERE), { jwk: { kty: 'oct', k: base64url('mine') } }, 'mine')],
    ['a way to its key', () => key.sign(goodClaims(HERE), { jku: 'http://127.0.0.1:1/keys' })],
    ['an extension that must be understood', () => signedBySecret(goodClaims(HERE), { crit: ['x'], x: 1 })],
    ['a payload that is not encoded', () => signedBySecret(goodClaims(HERE), { crit: ['b64'], b64: false })],
    ['five parts, as if it were encrypted', () => 'e30.e30.e30.e30.e30'],
    ['a header that is no JSON', () => `${base64url('{')}.${base64url(goodClaims(HERE))}.x`],
    ['padding', () => `${good()}=`],
    ['white space in its signature', () => good().replace(/.$/, ' $&')],
    ['a tab in its claims', () => good().replace('.', '.\t')],
    ['the alphabet of plain base64', () => inPlainBase64(good())],
    ['bits in its signature that no byte takes', () => withTrailingBits(good())],
    ['dots alone', () => '..'],
    ['no dots', () => 'letmein'],
    ['12 KB', () => 'a'.repeat(12 * 1024)],
  ])('with %s', async (_, token) => {
    await expectUnauthorized(token());
  });
});

describe('a token that is not for here, or not for now, does not', () => {
  test.each<[what: string, claims: () => unknown]>([
    ['expired', () => goodClaims({ ...HERE, exp: nowS() - 6 })],
    ['expired at the epoch', () => goodClaims({ ...HERE, exp: 0 })],
    ['without an end', () => ({ sub: 'ada', ...HERE })],
    ['with an end that is a text', () => goodClaims({ ...HERE, exp: String(nowS() + 3600) })],
    ['with an end that never comes', () => JSON.stringify(goodClaims({ ...HERE, exp: 0 })).replace('"exp":0', '"exp":1e400')],
    ['with an end in milliseconds', () => goodClaims({ ...HERE, exp: nowS() * 1000 })],
    ['with an end in the year 10000', () => goodClaims({ ...HERE, exp: 253_402_300_800 })],
    ['with an end of 1e308', () => goodClaims({ ...HERE, exp: 1e308 })],
    ['with a beginning in milliseconds', () => goodClaims({ ...HERE, nbf: nowS() * 1000 })],
    ['with an end that is null', () => goodClaims({ ...HERE, exp: null })],
    ['not valid yet', () => goodClaims({ ...HERE, nbf: nowS() + 60 })],
    ['with a beginning that is a text', () => goodClaims({ ...HERE, nbf: '0' })],
    ['for another audience', () => goodClaims({ ...HERE, aud: 'mail' })],
    ['for an audience that begins alike', () => goodClaims({ ...HERE, aud: 'chat2' })],
    ['for other audiences', () => goodClaims({ ...HERE, aud: ['mail', 'web'] })],
    ['for no audience', () => goodClaims({ iss: ISSUER })],
    ['of another issuer', () => goodClaims({ ...HERE, iss: 'https://evil.example/' })],
    ['of an issuer without the slash', () => goodClaims({ ...HERE, iss: ISSUER.slice(0, -1) })],
    ['of several issuers', () => goodClaims({ ...HERE, iss: [ISSUER] })],
    ['of no issuer', () => goodClaims({ aud: 'chat' })],
    ['of nobody', () => ({ ...goodClaims(HERE), sub: undefined })],
    ['of an empty name', () => goodClaims({ ...HERE, sub: '' })],
    ['of a number', () => goodClaims({ ...HERE, sub: 7 })],
    ['of the server', () => goodClaims({ ...HERE, sub: 'server' })],
    ['of a name with a line feed', () => goodClaims({ ...HERE, sub: 'ada\nserver' })],
    ['of half a character', () => goodClaims({ ...HERE, sub: '\ud83c' })],
    ['of a name of 256 bytes', () => goodClaims({ ...HERE, sub: 'a'.repeat(256) })],
    ['whose claims are an array', () => [goodClaims(HERE)]],
    ['whose claims are null', () => null],
    ['whose claims are in __proto__', () => JSON.stringify({}).replace('{', `{"__proto__":${JSON.stringify(goodClaims(HERE))}`)],
    ['whose claims are no JSON', () => 'sub=ada'],
  ])('%s', async (_, claims) => {
    await expectUnauthorized(signedBySecret(claims()));
  });

  test('and is told that it is expired, if that is all', async () => {
    const { headers } = await refused(service.port, '/ws', bearer(good({ exp: nowS() - 60 })));
    expect(headers['www-authenticate']).toContain('error_description="the token is expired"');
  });
});

describe('where the token stands', () => {
  test.each<[what: string, path: string, headers: Record<string, string>, protocols: string[]]>([
    ['nowhere', '/ws/tea', {}, []],
    ['in both places', '/ws/tea', { Authorization: `Bearer ${good()}` }, ['chat-api', `bearer.${good()}`]],
    ['twice among the subprotocols', '/ws/tea', {}, [`bearer.${good()}`, `bearer.${good({ sub: 'eve' })}`]],
    ['in the URL', `/ws/tea?token=${good()}&access_token=${good()}`, {}, []],
    ['in a cookie', '/ws/tea', { Cookie: `token=${good()}` }, []],
    ['behind another scheme', '/ws/tea', { Authorization: `Basic ${good()}` }, []],
    ['in a header of a proxy', '/ws/tea', { 'Proxy-Authorization': `Bearer ${good()}` }, []],
  ])('%s: 401', async (_, path, headers, protocols) => {
    const { status, body, headers: answered } = await refused(service.port, path, { headers }, protocols);
    expect({ status, code: body.error.code }).toEqual({ status: 401, code: 'unauthorized' });
    expect(answered['www-authenticate']).toMatch(/^Bearer realm="chat-api"/);
  });

  test('what is refused is counted, and leaves nothing behind', async () => {
    const line = 'chat_upgrades_refused_total{reason="unauthorized"}';
    const before = await service.metric(line);
    await refused(service.port, '/ws');
    expect(await service.metric(line)).toBe(before + 1);
    await service.metricIs('chat_connections', 0);
  });

  test('health and metrics need none', async () => {
    const pages = await Promise.all(['/healthz', '/readyz', '/metrics'].map((path) => service.get(path)));
    expect(pages.map(({ status }) => status)).toEqual([200, 200, 200]);
  });
});

/** The last character of a signature of 32 bytes has two bits too many: another in the same four is the same bytes. */
function withTrailingBits(token: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return token.replace(/.$/, (last) => alphabet[alphabet.indexOf(last) + 1] ?? '');
}

/** A token whose signature has the letters in which base64 and base64url differ. */
function inPlainBase64(token: string): string {
  for (let n = 0; ; n++) {
    const other = good({ n });
    const signature = other.split('.')[2] ?? '';
    if (/[-_]/.test(signature)) return other.replace(signature, signature.replaceAll('-', '+').replaceAll('_', '/'));
    if (n > 1000) return token;
  }
}

async function expectUnauthorized(token: string): Promise<void> {
  const { status, body, headers } = await refused(service.port, '/ws/tea', bearer(token));
  expect({ status, code: body.error.code }).toEqual({ status: 401, code: 'unauthorized' });
  expect(headers['www-authenticate']).toMatch(/^Bearer realm="chat-api", error="invalid_token", error_description="[^"\\]+"$/);
  const said = JSON.stringify([headers, body]);
  expect(token.split('.').filter((part) => part.length > 8 && said.includes(part))).toEqual([]);
}
