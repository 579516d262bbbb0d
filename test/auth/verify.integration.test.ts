import { afterEach, describe, expect, test } from '@jest/globals';
import { connect, refused } from '../support/client.js';
import { clientFrame, messagesIn, rawConnect, statusOf, upgradeRequest } from '../support/raw.js';
import { startService, type Service } from '../support/service.js';
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
} from '../support/token.js';

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

/** A service whose keys come from a server of the test's, and have come. */
async function withKeys(keys: () => readonly SigningKey[], environment: Readonly<Record<string, string>> = {}) {
  const server = await startKeyServer(keys);
  servers.push(server);
  const service = await start({ AUTH_JWKS_URL: server.url, ...environment });
  while ((await service.get('/readyz')).status !== 200);
  return { server, service };
}

/** A service that has no keys, for their server answers this from the start. */
async function withoutKeys(answer: KeyServer['answer'], environment: Readonly<Record<string, string>> = {}) {
  const server = await startKeyServer(() => [signingKey('unknown')]);
  servers.push(server);
  server.answer = answer;
  return { server, service: await start({ AUTH_JWKS_URL: server.url, ...environment }) };
}

/** Answers with keys. */
function answering(keys: readonly object[]): KeyServer['answer'] {
  return (response) => response.end(JSON.stringify({ keys }));
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
    const startedMs = performance.now();
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
    // Once for the first, and once a second for the others.
    expect(server.asked).toBeLessThanOrEqual(2 + Math.floor((performance.now() - startedMs) / 1000));
  });

  test('a token without a key’s name is tried with every key that it may be signed with', async () => {
    const keys = [signingKey('one'), signingKey('two'), signingKey('three', 'RS256')];
    const { service } = await withKeys(() => keys);
    const nameless = (key: SigningKey) => bearer(key.sign(goodClaims(), { kid: undefined }));
    for (const key of keys) await (await connect(service.port, '/ws', nameless(key))).close();
    expect((await refused(service.port, '/ws', nameless(signingKey('one')))).status).toBe(401);
  });

  test('only the algorithms that are asked for count', async () => {
    const [rsa, ec] = [signingKey('one', 'RS256'), signingKey('two')];
    const { service } = await withKeys(() => [rsa, ec], { AUTH_JWT_ALGORITHMS: 'ES256' });
    expect((await refused(service.port, '/ws', bearer(rsa.sign(goodClaims())))).status).toBe(401);
    await (await connect(service.port, '/ws', bearer(ec.sign(goodClaims())))).close();
  });
});

describe('keys that change', () => {
  test.each([
    ['with a new name', 'fresh', {}],
    ['with the same name', 'old', {}],
    ['without a name', 'fresh', { kid: undefined }],
  ])('are picked up at once, %s, and the old one lets in as long as it is there', async (_, name, header) => {
    const [old, fresh] = [signingKey('old'), signingKey(name)];
    let keys = [old];
    const { service } = await withKeys(() => keys);
    const token = (key: SigningKey) => bearer(key.sign(goodClaims(), header));
    await (await connect(service.port, '/ws', token(old))).close();
    keys = [old, fresh];
    for (const key of [fresh, old]) await (await connect(service.port, '/ws', token(key))).close();
    keys = [fresh];
    // Nothing makes the pod look before the keys are old, or somebody names one that is not there.
    await (await connect(service.port, '/ws', token(old))).close();
  });

  test('are not needed to say that a token is forged: 401, though their server hangs', async () => {
    const key = signingKey('one');
    const { server, service } = await withKeys(() => [key], { UPGRADE_TIMEOUT_MS: '400' });
    await (await connect(service.port, '/ws', bearer(key.sign(goodClaims())))).close();
    server.answer = () => undefined;
    const forged = Array.from({ length: 20 }, () => bearer(signingKey('one').sign(goodClaims())));
    const answers = await Promise.all(forged.map((token) => refused(service.port, '/ws', token)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
  });

  test('leave the connections that there are alone', async () => {
    let keys = [signingKey('old')];
    const { service } = await withKeys(() => keys);
    const client = await connect(service.port, '/ws/tea', bearer(keys[0]?.sign(goodClaims()) ?? ''));
    keys = [signingKey('fresh')];
    await (await connect(service.port, '/ws', bearer(keys[0]?.sign(goodClaims()) ?? ''))).close();
    client.chat('still here');
    await client.hearsChat('still here');
    await client.close();
  });

  test('are asked for once a second at most, whatever unknown keys are named, and those who name a known one get in meanwhile', async () => {
    const key = signingKey('one');
    const { server, service } = await withKeys(() => [key]);
    await (await connect(service.port, '/ws', bearer(key.sign(goodClaims())))).close();
    server.answer = () => undefined;
    const requests = Array.from({ length: 600 }, (_, n) =>
      upgradeRequest('/ws', { Authorization: `Bearer ${key.sign(goodClaims(), { kid: `unknown-${n}` })}` }),
    );
    const statuses = Promise.all(requests.map((request) => statusOf(service.port, request)));
    await service.metricIs('chat_upgrades_refused_total{reason="auth_unavailable"}', 100);
    await (await connect(service.port, '/ws', bearer(key.sign(goodClaims())))).close();
    expect(new Set(await statuses)).toEqual(new Set([503]));
    expect(server.asked).toBe(2);
  });
});

describe('a server of keys', () => {
  const key = signingKey('one');
  const hang = () => undefined;
  test.each<[what: string, answer: KeyServer['answer']]>([
    ['is broken', (response) => response.writeHead(500).end()],
    ['hangs', hang],
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
    const { server, service } = await withoutKeys(answer, { UPGRADE_TIMEOUT_MS: '400' });
    const token = bearer(key.sign(goodClaims()));
    const startedMs = performance.now();
    const { status, body, headers } = await refused(service.port, '/ws/tea', token);
    expect({ status, code: body.error.code }).toEqual({ status: 503, code: 'auth_unavailable' });
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect(performance.now() - startedMs).toBeLessThan(3000);
    expect((await service.get('/healthz')).status).toBe(200);
    await service.metricIs('chat_upgrades_refused_total{reason="auth_unavailable"}', 1);
    server.answer = answering([key.jwk]);
    const request = upgradeRequest('/ws/tea', token.headers);
    for (let got = 503; got !== 101; got = await statusOf(service.port, request)) expect(got).toBe(503);
  });

  test('that is broken is asked at most once a second, however many tokens come, and the log complains once', async () => {
    const startedMs = performance.now();
    const { server, service } = await withoutKeys((response) => response.writeHead(500).end());
    const token = bearer(key.sign(goodClaims()));
    for (let n = 0; n < 50; n++) await refused(service.port, '/ws', token);
    expect(server.asked).toBeLessThanOrEqual(1 + Math.ceil((performance.now() - startedMs) / 1000));
    expect(service.logs.filter(({ msg }) => msg === 'cannot fetch JWKS')).toHaveLength(1);
  });
});

describe('a pod that has no keys from the start', () => {
  test.each<[what: string, answer: KeyServer['answer'], why: RegExp]>([
    ['their server is broken', (response) => response.writeHead(500).end(), /answered 500/],
    ['their server answers a page', (response) => response.end('<html>secret'), /did not answer JSON/],
    ['there are none', answering([]), /no key for the allowed algorithms/],
    [
      'none of them is for tokens',
      answering([
        { ...signingKey('one').jwk, use: 'enc' },
        { kty: 'oct', k: 'c2VjcmV0' },
      ]),
      /no key for the allowed algorithms/,
    ],
  ])('because %s says so in the log and in /readyz, lives, and is ready when it has them', async (_, answer, why) => {
    const { server, service } = await withoutKeys(answer);
    await service.logged('cannot fetch JWKS', why);
    const ready = await service.get('/readyz');
    expect(ready.status).toBe(503);
    expect(await ready.json()).toEqual({ error: { code: 'auth_unavailable', message: expect.stringMatching(why) } });
    expect((await service.get('/healthz')).status).toBe(200);
    const key = signingKey('one');
    const { status } = await refused(service.port, '/ws', bearer(key.sign(goodClaims())));
    expect(status).toBe(503);
    server.answer = answering([key.jwk]);
    // Nobody brings a token, so the pod has to look by itself.
    while ((await service.get('/readyz')).status !== 200);
    await (await connect(service.port, '/ws', bearer(key.sign(goodClaims())))).close();
  });
});

describe('while a token is checked', () => {
  /** A service that has to ask for the key of a token, and whose server of keys answers when the test says. */
  async function waiting(environment: Readonly<Record<string, string>> = {}) {
    const [old, key] = [signingKey('old'), signingKey('one')];
    let keys = [old];
    const { server, service } = await withKeys(() => keys, environment);
    keys = [old, key];
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
    const request = (path = '/ws/tea') =>
      upgradeRequest(path, { Authorization: `Bearer ${key.sign(goodClaims({ rooms: ['tea'] }))}` });
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
    // Not `auth_unavailable`, which it would be where the place was free.
    expect((await refused(service.port, '/ws', token)).body.error.code).toBe('overloaded');
    raw.socket.resetAndDestroy();
    await raw.closed;
    // The reset may come after the next request: who is refused for the token's sake was let past the limit.
    const wrong = () => refused(service.port, '/ws');
    for (let answer = await wrong(); answer.status !== 401; answer = await wrong()) expect(answer.status).toBe(503);
  });

  test('an address has its places, and gets them back however its upgrades end', async () => {
    const { service, asked, request, token, release } = await waiting({ MAX_CONNECTIONS_PER_ADDRESS: '9' });
    const raws = await Promise.all(Array.from({ length: 9 }, () => rawConnect(service.port)));
    // A third is let in, a third refused for its room's sake, a third gives up.
    for (const [n, raw] of raws.entries()) raw.write(request(n % 3 === 1 ? '/ws/milk' : '/ws/tea'));
    await asked;
    expect((await refused(service.port, '/ws', token)).status).toBe(503);
    for (const raw of raws.filter((_, n) => n % 3 === 2)) raw.socket.resetAndDestroy();
    release();
    await Promise.all(raws.map((raw) => Promise.race([raw.receives((received) => received.includes('\r\n')), raw.closed])));
    for (const raw of raws) raw.socket.destroy();
    await service.metricIs('chat_connections', 0);
    await Promise.all(raws.map(() => connect(service.port, '/ws', token)));
    expect((await refused(service.port, '/ws', token)).status).toBe(503);
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

  test('is let go with 4002 when the token expires', async () => {
    const service = await start({ AUTH_JWT_SECRET: SECRET });
    const exp = nowS() + 2;
    const client = await connect(service.port, '/ws/tea', bearer(tokenOf('ada', { exp })));
    expect((await client.closed).code).toBe(4002);
    expect(Date.now()).toBeGreaterThanOrEqual(exp * 1000);
    expect(Date.now()).toBeLessThan((exp + 5) * 1000);
    await service.metricIs('chat_closes_total{code="4002"}', 1);
  });

  test('is let go when the leeway is over, where that alone let it in', async () => {
    const service = await start({ AUTH_JWT_SECRET: SECRET });
    const exp = nowS() - 4;
    const client = await connect(service.port, '/ws/tea', bearer(tokenOf('ada', { exp })));
    expect((await client.closed).code).toBe(4002);
    expect(Date.now()).toBeGreaterThanOrEqual((exp + 5) * 1000);
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
