import { afterEach, describe, expect, test } from '@jest/globals';
import { connect, refused } from './support/client.js';
import { clientFrame, messagesIn, rawConnect, statusOf, upgradeRequest } from './support/raw.js';
import { startService, type Service } from './support/service.js';
import {
  SECRET,
  goodClaims,
  nowS,
  signedBySecret,
  signingKey,
  startKeyServer,
  tokenOf,
  type KeyServer,
  type SigningKey,
} from './support/token.js';

const services: Service[] = [];
const servers: KeyServer[] = [];

afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.stop('SIGKILL')));
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

async function start(environment: Readonly<Record<string, string>> = {}): Promise<Service> {
  const service = await startService({ AUTH_ENABLED: 'true', ...environment });
  services.push(service);
  return service;
}

/** A service whose keys come from a server of the test's. */
async function withKeys(keys: () => readonly SigningKey[], environment: Readonly<Record<string, string>> = {}) {
  const server = await startKeyServer(keys);
  servers.push(server);
  return { server, service: await start({ AUTH_JWKS_URL: server.url, ...environment }) };
}

function bearer(token: string): { headers: Record<string, string> } {
  return { headers: { Authorization: `Bearer ${token}` } };
}

describe('keys of a key set', () => {
  test.each(['RS256', 'ES256', 'EdDSA'] as const)('%s lets in, and the keys are fetched once', async (alg) => {
    const key = signingKey('one', alg);
    const { server, service } = await withKeys(() => [key]);
    for (let n = 0; n < 3; n++) await (await connect(service.port, '/ws/tea', bearer(key.sign(goodClaims())))).close();
    expect(server.asked).toBe(1);
  });

  test('forged tokens do not: another key, a secret, the public key taken for a secret, an unknown key', async () => {
    const key = signingKey('one', 'RS256');
    const { service, server } = await withKeys(() => [key, signingKey('weak', 'RS256', 1024)]);
    const pem = key.publicKey.export({ format: 'pem', type: 'spki' });
    const tokens = [
      signingKey('one', 'RS256').sign(goodClaims()),
      signingKey('two', 'RS256').sign(goodClaims()),
      key.sign(goodClaims(), { kid: 'two' }),
      key.sign(goodClaims(), { alg: 'PS256' }),
      key.sign(goodClaims(), { alg: 'none' }),
      key.sign(goodClaims(), { kid: 7 }),
      signedBySecret(goodClaims(), { kid: 'one' }),
      signedBySecret(goodClaims(), { kid: 'one' }, Buffer.from(pem)),
      signedBySecret(goodClaims(), { kid: 'one' }, JSON.stringify(key.jwk)),
    ];
    const answers = await Promise.all(tokens.map((token) => refused(service.port, '/ws', bearer(token))));
    expect(answers.map(({ status }) => status)).toEqual(tokens.map(() => 401));
    await (await connect(service.port, '/ws', bearer(key.sign(goodClaims())))).close();
    expect(server.asked).toBe(1);
  });

  test('a token without a key’s name is taken where there is but one key for it', async () => {
    const keys = [signingKey('one')];
    const { service } = await withKeys(() => keys);
    const token = keys[0]?.sign(goodClaims(), { kid: undefined }) ?? '';
    await (await connect(service.port, '/ws', bearer(token))).close();
  });

  test('only the algorithms that are asked for count', async () => {
    const [rsa, ec] = [signingKey('one', 'RS256'), signingKey('two')];
    const { service } = await withKeys(() => [rsa, ec], { AUTH_JWT_ALGORITHMS: 'ES256' });
    expect((await refused(service.port, '/ws', bearer(rsa.sign(goodClaims())))).status).toBe(401);
    await (await connect(service.port, '/ws', bearer(ec.sign(goodClaims())))).close();
  });
});

describe('a server of keys', () => {
  const key = signingKey('one');
  const hang = () => undefined;
  test.each<[what: string, answer: KeyServer['answer']]>([
    ['is broken', (response) => response.writeHead(500).end()],
    ['sends elsewhere', (response) => response.writeHead(302, { Location: '/other' }).end()],
    ['says what is no JSON', (response) => response.end('<html>')],
    ['says what is no key set', (response) => response.end('{"keys":{"one":1}}')],
    ['hangs up', (response) => response.destroy()],
    ['hangs', hang],
    ['begins and hangs', (response) => response.write('{"keys":[')],
    [
      'never stops talking',
      (response) => {
        const talk = () => {
          while (response.write('                '.repeat(1000)));
        };
        response.on('drain', talk);
        talk();
      },
    ],
  ])('that %s gets nobody in and nobody sent away for good: 503, and then 101 when it is well again', async (_, answer) => {
    const { server, service } = await withKeys(() => [key], { UPGRADE_TIMEOUT_MS: '400' });
    const well = server.answer;
    server.answer = answer;
    const token = bearer(key.sign(goodClaims()));
    const startedMs = performance.now();
    const { status, body, headers } = await refused(service.port, '/ws/tea', token);
    expect({ status, code: body.error.code }).toEqual({ status: 503, code: 'auth_unavailable' });
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect(performance.now() - startedMs).toBeLessThan(3000);
    expect((await service.get('/healthz')).status).toBe(200);
    await service.metricIs('chat_upgrades_refused_total{reason="auth_unavailable"}', 1);
    server.answer = well;
    const request = upgradeRequest('/ws/tea', token.headers);
    for (let got = 503; got !== 101; got = await statusOf(service.port, request)) expect(got).toBe(503);
  });

  test('that is broken is asked at most once a second, however many tokens come, and the log complains once', async () => {
    const { server, service } = await withKeys(() => [key]);
    server.answer = (response) => response.writeHead(500).end();
    const token = bearer(key.sign(goodClaims()));
    const startedMs = performance.now();
    for (let n = 0; n < 50; n++) await refused(service.port, '/ws', token);
    expect(server.asked).toBeLessThanOrEqual(1 + Math.ceil((performance.now() - startedMs) / 1000));
    expect(service.logs.filter(({ msg }) => msg === 'token not checked')).toHaveLength(1);
  });
});

describe('while a token is checked', () => {
  /** A service whose server of keys answers when the test says. */
  async function waiting(environment: Readonly<Record<string, string>> = {}) {
    const key = signingKey('one');
    const { server, service } = await withKeys(() => [key], environment);
    const well = server.answer;
    let release = (): void => undefined;
    const asked = new Promise<void>((resolve) => {
      server.answer = (response) => {
        release = () => {
          well(response);
        };
        resolve();
      };
    });
    const request = (path = '/ws/tea') => upgradeRequest(path, { Authorization: `Bearer ${key.sign(goodClaims())}` });
    return {
      service,
      asked,
      request,
      token: bearer(key.sign(goodClaims())),
      release: () => {
        release();
      },
    };
  }

  test('what the client sends early is kept, in order, all 200 KB of it', async () => {
    const { service, asked, request, release } = await waiting();
    const raw = await rawConnect(service.port);
    const contents = Array.from({ length: 200 }, (_, n) => `${n} ${'x'.repeat(1000)}`);
    const frames = contents.map((content) => clientFrame(0x81, JSON.stringify({ type: 'chat', data: { content } })));
    raw.write(Buffer.concat([Buffer.from(request()), ...frames.slice(0, 3)]));
    await asked;
    for (const frame of frames.slice(3)) raw.write(frame);
    release();
    const chats = () => messagesIn(raw.received).filter(({ type }) => type === 'chat');
    await raw.receives(() => chats().length === contents.length);
    expect(chats().map(({ data }) => data['content'])).toEqual(contents);
    raw.socket.destroy();
  });

  test('it has its place: MAX_CONNECTIONS holds, and who gives up makes room', async () => {
    const { service, asked, request, token } = await waiting({ MAX_CONNECTIONS: '1' });
    const raw = await rawConnect(service.port);
    raw.write(request());
    await asked;
    expect((await refused(service.port, '/ws', token)).status).toBe(503);
    raw.socket.resetAndDestroy();
    await raw.closed;
    // The reset may come after the next request: who is refused for the token's sake was let past the limit.
    const wrong = () => refused(service.port, '/ws');
    for (let answer = await wrong(); answer.status !== 401; answer = await wrong()) expect(answer.status).toBe(503);
  });

  test('a pod that goes away refuses it at once', async () => {
    const { service, asked, request } = await waiting();
    const raw = await rawConnect(service.port);
    raw.write(request());
    await asked;
    const code = service.stop();
    expect(await raw.text()).toMatch(/^HTTP\/1\.1 503 [^]*"draining"/);
    expect(await code).toBe(0);
  });

  test('a client that resets its connection harms nobody', async () => {
    const { service, asked, request, release } = await waiting();
    const raws = await Promise.all(Array.from({ length: 20 }, () => rawConnect(service.port)));
    for (const raw of raws) raw.write(request());
    await asked;
    for (const raw of raws) raw.socket.resetAndDestroy();
    await Promise.all(raws.map(({ closed }) => closed));
    release();
    await service.metricIs('chat_connections', 0);
    expect((await service.get('/healthz')).status).toBe(200);
  });
});

describe('the owner of a token', () => {
  test('is `from` of what is said, and each connection has its own id', async () => {
    const service = await start({ AUTH_JWT_SECRET: SECRET });
    const [first, second] = await Promise.all([1, 2].map(() => connect(service.port, '/ws/tea', bearer(tokenOf('ada')))));
    first?.chat('hello');
    expect((await second?.hearsChat('hello'))?.from).toBe('ada');
    const ids = [first, second].map((client) => client?.heard[0]?.data['clientId']);
    expect(new Set([...ids, 'ada']).size).toBe(3);
  });

  test('is let go with 4002 when the token has expired, leeway included', async () => {
    const service = await start({ AUTH_JWT_SECRET: SECRET });
    const exp = nowS() - 4;
    const client = await connect(service.port, '/ws/tea', bearer(tokenOf('ada', { exp })));
    expect((await client.closed).code).toBe(4002);
    expect(Date.now()).toBeGreaterThanOrEqual((exp + 5) * 1000);
    await service.metricIs('chat_closes_total{code="4002"}', 1);
  });
});

describe('claims', () => {
  test('say which rooms: 403 for others, the same whether anybody is there', async () => {
    const service = await start({ AUTH_JWT_SECRET: SECRET });
    const token = (rooms: unknown) => bearer(tokenOf('ada', { rooms }));
    await connect(service.port, '/ws/tea', token(['t*']));
    const [there, nowhere, partly, unreadable] = await Promise.all([
      refused(service.port, '/ws/tea', token(['milk'])),
      refused(service.port, '/ws/coffee', token(['milk'])),
      refused(service.port, '/ws/milk?room=tea', token(['milk'])),
      refused(service.port, '/ws', token('milk')),
    ]);
    expect(there).toMatchObject({ status: 403, body: { error: { code: 'forbidden' } } });
    expect([nowhere, partly, unreadable].map(({ status, body }) => ({ status, body }))).toEqual(
      Array(3).fill({ status: there.status, body: there.body }),
    );
  });

  test('say where one may publish', async () => {
    const service = await start({ AUTH_JWT_SECRET: SECRET });
    const reader = await connect(service.port, '/ws/tea', bearer(tokenOf('reader', { publish: ['milk'] })));
    const writer = await connect(service.port, '/ws/tea', bearer(tokenOf('writer', { global: true })));
    reader.chat('let me', { id: 'one' });
    expect((await reader.hearsError('forbidden')).data).toMatchObject({ ref: 'one' });
    reader.chat('to all', { room: '', id: 'two' });
    await reader.hears(({ data }) => data['code'] === 'forbidden' && data['ref'] === 'two');
    writer.chat('to all of you', { room: '' });
    writer.chat('hello');
    await Promise.all([reader.hearsChat('to all of you'), reader.hearsChat('hello'), writer.hearsChat('hello')]);
    expect(writer.chats.sort()).toEqual(['hello', 'to all of you']);
    await service.metricIs('chat_errors_total{code="forbidden"}', 2);
  });
});
