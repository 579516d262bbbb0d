import { getHeapStatistics } from 'node:v8';
import { describe, expect, test } from '@jest/globals';
import { ConfigError, checkConfig, describeConfig, readConfig, type Config, type Settings } from '../../src/config/config.js';

const MAX_MS = 2 ** 31 - 1;

const SECRET = 'secret'.repeat(11).slice(0, 64);
const JWKS = 'https://issuer.example/jwks';
const ON = { AUTH_ENABLED: 'true' };

/** Every variable, what it is called in the configuration, and its default. */
const DEFAULTS: readonly (readonly [variable: string, key: keyof Config, value: string | number | boolean | undefined])[] = [
  ['REDIS_CLUSTER_NODES', 'redisClusterNodes', undefined],
  ['REDIS_SENTINELS', 'redisSentinels', undefined],
  ['REDIS_SENTINEL_NAME', 'redisSentinelName', undefined],
  ['REDIS_CHANNEL_PREFIX', 'redisChannelPrefix', 'chat-api'],
  ['AUTH_ENABLED', 'authEnabled', false],
  ['AUTH_JWT_SECRET', 'authJwtSecret', undefined],
  ['AUTH_JWKS_URL', 'authJwksUrl', undefined],
  ['AUTH_JWT_ISSUER', 'authJwtIssuer', undefined],
  ['AUTH_JWT_AUDIENCE', 'authJwtAudience', undefined],
  ['AUTH_JWT_ALGORITHMS', 'authJwtAlgorithms', undefined],
  ['ALLOWED_ORIGINS', 'allowedOrigins', '*'],
  ['HOST', 'host', '0.0.0.0'],
  ['PORT', 'port', 8080],
  ['BASE_PATH', 'basePath', '/api/chat-api'],
  ['METRICS_PORT', 'metricsPort', undefined],
  ['TRUST_PROXY', 'trustProxy', undefined],
  ['MAX_MESSAGE_BYTES', 'maxMessageBytes', 65536],
  ['SEND_BUFFER_MESSAGES', 'sendBufferMessages', 256],
  ['SEND_BUFFER_BYTES', 'sendBufferBytes', 17039360],
  ['SLOW_CONSUMER_POLICY', 'slowConsumerPolicy', 'disconnect'],
  ['PUBLISH_WINDOW', 'publishWindow', 32],
  ['PUBLISH_TIMEOUT_MS', 'publishTimeoutMs', 2000],
  ['PING_INTERVAL_MS', 'pingIntervalMs', 25000],
  ['PONG_TIMEOUT_MS', 'pongTimeoutMs', 60000],
  ['UPGRADE_TIMEOUT_MS', 'upgradeTimeoutMs', 10000],
  ['MAX_CONNECTIONS', 'maxConnections', 0],
  ['MAX_CONNECTIONS_PER_ADDRESS', 'maxConnectionsPerAddress', 0],
  ['MAX_ROOMS', 'maxRooms', 200_000],
  ['MAX_HELD_BYTES', 'maxHeldBytes', Math.floor(getHeapStatistics().heap_size_limit / 4)],
  ['PRESENCE_MAX_MEMBERS', 'presenceMaxMembers', 100],
  ['SHUTDOWN_DELAY_MS', 'shutdownDelayMs', 0],
  ['SHUTDOWN_TIMEOUT_MS', 'shutdownTimeoutMs', 10000],
  ['LOG_LEVEL', 'logLevel', 'info'],
];

/** What the configuration complains of; fails where it does not. */
function complaint(environment: Readonly<Record<string, string>>): string {
  try {
    readConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('defaults', () => {
  test.each(DEFAULTS)('%s is %s: %p', (_, key, value) => {
    expect(readConfig({})[key]).toBe(value);
  });

  test.each([{}, { REDIS_URL: '' }, { REDIS_URL: 'redis://localhost:6379' }])('Redis is on this machine: %p', (environment) => {
    expect(readConfig(environment).redisUrl).toEqual({ host: 'localhost', port: 6379, tls: false });
  });

  test('there are no other variables', () => {
    expect(Object.keys(readConfig({})).sort()).toEqual(['redisUrl', ...DEFAULTS.map(([, key]) => key)].sort());
  });

  test.each(DEFAULTS)('%s may be given as its own default, or empty', (variable, key, value) => {
    expect(readConfig({ [variable]: '' })[key]).toBe(value);
    expect(readConfig({ [variable]: value === undefined ? undefined : String(value) })[key]).toBe(value);
  });

  test('the send buffer has room for as many of the largest envelopes as it may hold messages', () => {
    const { sendBufferMessages, sendBufferBytes, maxMessageBytes } = readConfig({});
    expect(sendBufferBytes).toBe(sendBufferMessages * (maxMessageBytes + 1024));
  });
});

test('what is read cannot be changed', () => {
  expect(Object.isFrozen(readConfig({}))).toBe(true);
});

test('variables of others are left alone', () => {
  expect(readConfig({ PATH: '/bin', port: 'x' })).toEqual(readConfig({}));
});

test.each<[variable: string, given: string, key: keyof Config, value: Config[keyof Config]]>([
  ['REDIS_URL', 'memory:', 'redisUrl', 'memory:'],
  ['REDIS_CHANNEL_PREFIX', 'eu:chat', 'redisChannelPrefix', 'eu:chat'],
  ['REDIS_CHANNEL_PREFIX', 'x'.repeat(128), 'redisChannelPrefix', 'x'.repeat(128)],
  ['REDIS_CHANNEL_PREFIX', 'thé[*]?', 'redisChannelPrefix', 'thé[*]?'],
  ['HOST', '::1', 'host', '::1'],
  ['HOST', 'fe80::1%br-lan.1', 'host', 'fe80::1%br-lan.1'],
  ['HOST', 'localhost', 'host', 'localhost'],
  ['PORT', '0', 'port', 0],
  ['PORT', '65535', 'port', 65535],
  ['PORT', '08080', 'port', 8080],
  ['BASE_PATH', '/', 'basePath', ''],
  ['BASE_PATH', '/chat/', 'basePath', '/chat'],
  ['BASE_PATH', '/th%C3%A9/v1~(a);b=1', 'basePath', '/th%C3%A9/v1~(a);b=1'],
  ['METRICS_PORT', '0', 'metricsPort', 0],
  ['METRICS_PORT', '9090', 'metricsPort', 9090],
  ['METRICS_PORT', 'off', 'metricsPort', 'off'],
  ['MAX_MESSAGE_BYTES', '1', 'maxMessageBytes', 1],
  ['SEND_BUFFER_MESSAGES', '1', 'sendBufferMessages', 1],
  ['SEND_BUFFER_BYTES', '1', 'sendBufferBytes', 1],
  ['SLOW_CONSUMER_POLICY', 'drop-oldest', 'slowConsumerPolicy', 'drop-oldest'],
  ['PUBLISH_WINDOW', '1', 'publishWindow', 1],
  ['PUBLISH_TIMEOUT_MS', String(MAX_MS), 'publishTimeoutMs', MAX_MS],
  ['PING_INTERVAL_MS', '1', 'pingIntervalMs', 1],
  ['PONG_TIMEOUT_MS', String(MAX_MS), 'pongTimeoutMs', MAX_MS],
  ['UPGRADE_TIMEOUT_MS', '1', 'upgradeTimeoutMs', 1],
  ['MAX_CONNECTIONS', '10000', 'maxConnections', 10_000],
  ['MAX_CONNECTIONS_PER_ADDRESS', '5', 'maxConnectionsPerAddress', 5],
  ['MAX_ROOMS', '1', 'maxRooms', 1],
  ['MAX_HELD_BYTES', '65536', 'maxHeldBytes', 65_536],
  ['MAX_HELD_BYTES', '8589934592', 'maxHeldBytes', 8_589_934_592],
  ['ALLOWED_ORIGINS', '*', 'allowedOrigins', '*'],
  ['PRESENCE_MAX_MEMBERS', '0', 'presenceMaxMembers', 0],
  ['SHUTDOWN_DELAY_MS', '5000', 'shutdownDelayMs', 5000],
  ['SHUTDOWN_TIMEOUT_MS', '1', 'shutdownTimeoutMs', 1],
  ['LOG_LEVEL', 'silent', 'logLevel', 'silent'],
])('%s may be %p', (variable, given, key, value) => {
  expect(readConfig({ [variable]: given })[key]).toBe(value);
});

test('REDIS_URL is read into its parts, which cannot be changed', () => {
  const { redisUrl } = readConfig({ REDIS_URL: 'rediss://us%40er:s%2Fecret@redis.example:6380/0' });
  expect(redisUrl).toEqual({ host: 'redis.example', port: 6380, username: 'us@er', password: 's/ecret', tls: true });
  expect(Object.isFrozen(redisUrl)).toBe(true);
});

test.each(['https://issuer.example/jwks', 'HTTPS://issuer.example:8443/a%20b?c=d&e', 'http://[::1]:80'])(
  'AUTH_JWKS_URL may be %s',
  (given) => {
    expect(readConfig({ ...ON, AUTH_JWKS_URL: given }).authJwksUrl).toBe(given);
  },
);

describe('a list of servers', () => {
  test.each([
    ['one', 'localhost:7000', ['localhost:7000']],
    ['several', 'a.example:7000, b.example:7001,[::1]:7002', ['a.example:7000', 'b.example:7001', '[::1]:7002']],
    ['one twice, which counts once', 'a:1,a:01,a:1', ['a:1']],
  ])('may have %s', (_, given, value) => {
    expect(readConfig({ REDIS_CLUSTER_NODES: given }).redisClusterNodes).toEqual(value);
    const sentinel = readConfig({ REDIS_SENTINELS: given, REDIS_SENTINEL_NAME: 'primary' });
    expect(sentinel).toMatchObject({ redisSentinels: value, redisSentinelName: 'primary' });
  });

  test.each([
    'localhost',
    'localhost:',
    ':7000',
    'localhost:0',
    'localhost:65536',
    'a:1,,b:2',
    'redis://a:1',
    'a:1;b:2',
    '::1:7000',
    'u:p@a:1',
    '[:::::]:1',
    '[localhost]:1',
  ])('is not %s', (given) => {
    for (const name of ['REDIS_CLUSTER_NODES', 'REDIS_SENTINELS']) {
      expect(complaint({ [name]: given })).toMatch(
        new RegExp(`^${name} is ".*"; allowed: host:port, several with commas between$`),
      );
    }
  });
});

test.each([
  ['LOG_LEVEL', 'trace'],
  ['LOG_LEVEL', 'debug'],
  ['LOG_LEVEL', 'warn'],
  ['LOG_LEVEL', 'error'],
  ['LOG_LEVEL', 'fatal'],
])('%s knows pino’s level %s', (variable, level) => {
  expect(readConfig({ [variable]: level }).logLevel).toBe(level);
});

describe('a bad value is refused in one line: its variable, what was given, what is allowed', () => {
  const integers = [
    ['PORT', 0, 65_535],
    ['MAX_MESSAGE_BYTES', 1, 16_777_216],
    ['SEND_BUFFER_MESSAGES', 1, 1_000_000_000],
    ['SEND_BUFFER_BYTES', 1, 1_000_000_000],
    ['PUBLISH_WINDOW', 1, 1_000_000_000],
    ['PUBLISH_TIMEOUT_MS', 1, MAX_MS],
    ['PING_INTERVAL_MS', 1, MAX_MS],
    ['PONG_TIMEOUT_MS', 1, MAX_MS],
    ['UPGRADE_TIMEOUT_MS', 1, MAX_MS],
    ['MAX_CONNECTIONS', 0, 1_000_000_000],
    ['MAX_CONNECTIONS_PER_ADDRESS', 0, 1_000_000_000],
    ['MAX_ROOMS', 1, 1_000_000_000],
    ['MAX_HELD_BYTES', 1, 2 ** 40],
    ['PRESENCE_MAX_MEMBERS', 0, 1_000_000_000],
    ['SHUTDOWN_DELAY_MS', 0, MAX_MS],
    ['SHUTDOWN_TIMEOUT_MS', 1, MAX_MS],
  ] as const;

  test.each(integers)('%s: integers from %i to %i', (variable, least, most) => {
    const beyond = [String(least - 1), String(most + 1)];
    for (const given of [...beyond, 'many', '1.5', '1e3', '0x10', '-1', '+1', ' 1', '1 ', '1,000', 'NaN', '9'.repeat(400)]) {
      expect(complaint({ [variable]: given })).toBe(`${variable} is "${given}"; allowed: an integer from ${least} to ${most}`);
    }
  });

  test.each([
    ['METRICS_PORT', '65536', 'an integer from 0 to 65535, or off'],
    ['METRICS_PORT', 'none', 'an integer from 0 to 65535, or off'],
    ['SLOW_CONSUMER_POLICY', 'drop', 'one of disconnect, drop-oldest'],
    ['SLOW_CONSUMER_POLICY', 'Disconnect', 'one of disconnect, drop-oldest'],
    ['AUTH_ENABLED', 'yes', 'true or false'],
    ['AUTH_ENABLED', 'TRUE', 'true or false'],
    ['AUTH_ENABLED', '1', 'true or false'],
    ['AUTH_JWKS_URL', 'issuer.example/jwks', 'an http: or https: URL without user, password and fragment'],
    ['AUTH_JWKS_URL', 'file:///etc/keys', 'an http: or https: URL without user, password and fragment'],
    ['AUTH_JWT_AUDIENCE', 'chat,', 'a comma-separated list'],
    ['LOG_LEVEL', 'loud', 'one of trace, debug, info, warn, error, fatal, silent'],
    ['BASE_PATH', 'chat', 'a path that begins with a slash, as clients send it: percent-encoded, without `.` and `..`'],
    ['BASE_PATH', '/a b', 'a path that begins with a slash, as clients send it: percent-encoded, without `.` and `..`'],
    ['BASE_PATH', '/a?b', 'a path that begins with a slash, as clients send it: percent-encoded, without `.` and `..`'],
    ['BASE_PATH', '/a#b', 'a path that begins with a slash, as clients send it: percent-encoded, without `.` and `..`'],
    ['REDIS_CHANNEL_PREFIX', 'a b', '1 to 128 characters, none of them white space or a control character'],
    ['REDIS_CHANNEL_PREFIX', 'x'.repeat(129), '1 to 128 characters, none of them white space or a control character'],
    ['REDIS_URL', 'localhost:6379', 'a redis:, rediss: or memory: URL'],
    ['REDIS_URL', 'localhost', 'a redis:, rediss: or memory: URL'],
    ['REDIS_URL', 'http://localhost:6379', 'a redis:, rediss: or memory: URL'],
    ['REDIS_URL', 'redis:', 'a redis:, rediss: or memory: URL'],
    ['REDIS_URL', 'redis://', 'a redis:, rediss: or memory: URL'],
    ['REDIS_URL', 'redis://localhost:99999', 'a redis:, rediss: or memory: URL'],
    ['REDIS_URL', 'redis://localhost/chat', 'a redis:, rediss: or memory: URL'],
    ['REDIS_URL', 'redis://localhost/0/1', 'a redis:, rediss: or memory: URL'],
    ['REDIS_URL', 'memory:x', 'a redis:, rediss: or memory: URL'],
    ['REDIS_URL', ' redis://localhost', 'a redis:, rediss: or memory: URL'],
    ['REDIS_URL', 'redis://localhost:0', 'a redis:, rediss: or memory: URL'],
    [
      'REDIS_URL',
      'redis://localhost/1',
      'no database number but 0, since databases share their channels; REDIS_CHANNEL_PREFIX separates services',
    ],
    ['REDIS_CHANNEL_PREFIX', '\x7f', '1 to 128 characters, none of them white space or a control character'],
    ['REDIS_CHANNEL_PREFIX', '\ud83d', '1 to 128 characters, none of them white space or a control character'],
    ...['localhost:8080', '[::1]', '1:2', ' ::1', 'a/b'].map((given): [string, string, string] => [
      'HOST',
      given,
      'a host name or an address, without brackets and port',
    ]),
    ...['https:///jwks', 'https://issuer.example/a b', ' https://issuer.example', 'https://a:0/'].map(
      (given): [string, string, string] => ['AUTH_JWKS_URL', given, 'an http: or https: URL without user, password and fragment'],
    ),
    ...['/thé', '/a/../b', '/a/%2e%2e/b', '/./a', '/a\\b', '/a"b', '/a\x01'].map((given): [string, string, string] => [
      'BASE_PATH',
      given,
      'a path that begins with a slash, as clients send it: percent-encoded, without `.` and `..`',
    ]),
  ])('%s=%s', (variable, given, allowed) => {
    expect(complaint({ [variable]: given })).toBe(`${variable} is ${JSON.stringify(given)}; allowed: ${allowed}`);
  });

  test('AUTH_JWKS_URL has no fragment', () => {
    expect(complaint({ AUTH_JWKS_URL: 'https://issuer.example/jwks#key' })).toBe(
      'AUTH_JWKS_URL is "https://issuer.example/jwks#***"; allowed: an http: or https: URL without user, password and fragment',
    );
  });

  test('a value of several lines is told in one', () => {
    expect(complaint({ LOG_LEVEL: 'info\nwarn\r\n' })).toBe(
      'LOG_LEVEL is "info\\nwarn\\r\\n"; allowed: one of trace, debug, info, warn, error, fatal, silent',
    );
  });

  test.each([
    ['a database that is none', 'redis://user:secret@localhost/chat'],
    ['a password alone', 'redis://:secret@localhost/chat'],
    ['a password with an @ in it', 'redis://user:se@secret@localhost/chat'],
    ['another scheme', 'http://user:secret@localhost'],
    ['a port that is none', 'rediss://user:secret@localhost:port'],
    ['no slashes', 'redis:user:secret@localhost'],
    ['a line feed after the password', 'redis://user:secret\n@localhost/chat'],
    ['no scheme', 'secret@localhost'],
    ['a bad percent-encoding', 'redis://:secret%zz@localhost'],
    ['a database', 'redis://user:secret@localhost/1'],
    ['a slash in the password', 'redis://user:secret/secret@localhost'],
  ])('no password is printed: of a URL with %s', (_, url) => {
    expect(complaint({ REDIS_URL: url })).toMatch(/^REDIS_URL is ".*localhost.*"; allowed: /);
    expect(complaint({ REDIS_URL: url })).not.toContain('secret');
  });

  test.each([
    ['redis://localhost?password=secret', 'redis://localhost?***'],
    ['redis://user:secret@localhost?db=1', 'redis://***@localhost?***'],
    ['redis://localhost/0?password=secret@secret', 'redis://***'],
    ['redis://user:secret?secret@localhost', 'redis://***'],
    ['redis://user:secret#secret@localhost', 'redis://***'],
    ['secret?secret@localhost', '***'],
  ])('no password is printed of %s', (url, shown) => {
    expect(complaint({ REDIS_URL: url })).toMatch(/^REDIS_URL is ".*"; allowed: no query|^REDIS_URL is ".*"; allowed: a redis:/);
    expect(complaint({ REDIS_URL: url })).toContain(`REDIS_URL is "${shown}"; `);
  });
});

describe('lists', () => {
  test.each<[variable: string, given: string, key: keyof Config, value: readonly string[]]>([
    ['AUTH_JWT_AUDIENCE', 'chat', 'authJwtAudience', ['chat']],
    ['AUTH_JWT_AUDIENCE', 'chat, admin', 'authJwtAudience', ['chat', 'admin']],
    ['AUTH_JWT_ALGORITHMS', 'ES256,EdDSA', 'authJwtAlgorithms', ['ES256', 'EdDSA']],
    ['ALLOWED_ORIGINS', 'https://a.example,http://b.example:81', 'allowedOrigins', ['https://a.example', 'http://b.example:81']],
  ])('%s may be %p', (variable, given, key, value) => {
    expect(readConfig({ ...ON, AUTH_JWKS_URL: JWKS, [variable]: given })[key]).toEqual(value);
  });

  test.each([
    ['AUTH_JWT_ALGORITHMS', 'none', 'a comma-separated list of HS256'],
    ['AUTH_JWT_ALGORITHMS', 'HS256,none', 'a comma-separated list of HS256'],
    ['AUTH_JWT_ALGORITHMS', 'HS256,HS257', 'a comma-separated list of HS256'],
    ['AUTH_JWT_ALGORITHMS', 'hs256', 'a comma-separated list of HS256'],
    ['ALLOWED_ORIGINS', 'null', 'a comma-separated list like https://chat.example'],
    ['ALLOWED_ORIGINS', 'https://chat.example/', 'a comma-separated list like https://chat.example'],
    ['ALLOWED_ORIGINS', 'chat.example', 'a comma-separated list like https://chat.example'],
    ['ALLOWED_ORIGINS', 'https://*.example', 'a comma-separated list like https://chat.example'],
    ['ALLOWED_ORIGINS', 'https://a.example,*', 'a comma-separated list like https://chat.example'],
    ['TRUST_PROXY', 'localhost', 'a comma-separated list of networks like 10.0.0.0/8'],
    ['TRUST_PROXY', '10.0.0.0/33', 'a comma-separated list of networks like 10.0.0.0/8'],
    ['TRUST_PROXY', '10.0.0.0/8,', 'a comma-separated list of networks like 10.0.0.0/8'],
    ['TRUST_PROXY', '::1/129', 'a comma-separated list of networks like 10.0.0.0/8'],
  ])('%s=%s is refused', (variable, given, allowed) => {
    expect(complaint({ [variable]: given })).toContain(`${variable} is "${given}"; allowed: ${allowed}`);
  });

  test('TRUST_PROXY is a set of addresses', () => {
    const { trustProxy } = readConfig({ TRUST_PROXY: '10.0.0.0/8, ::1' });
    expect(['10.1.2.3', '::1', '11.0.0.1'].map((address) => trustProxy?.has(address))).toEqual([true, true, false]);
  });
});

describe('authentication', () => {
  test.each<[what: string, environment: Record<string, string>]>([
    ['a secret', { ...ON, AUTH_JWT_SECRET: SECRET }],
    ['a secret of 32 bytes', { ...ON, AUTH_JWT_SECRET: SECRET.slice(0, 32) }],
    ['a secret of 32 bytes in 16 characters', { ...ON, AUTH_JWT_SECRET: 'é'.repeat(16) }],
    ['a key set', { ...ON, AUTH_JWKS_URL: JWKS }],
    ['a secret that is said to be unused', { AUTH_ENABLED: 'false', AUTH_JWT_SECRET: SECRET }],
    ['a secret and what it can sign', { ...ON, AUTH_JWT_SECRET: SECRET, AUTH_JWT_ALGORITHMS: 'HS512' }],
  ])('starts with %s', (_, environment) => {
    expect(readConfig(environment).authEnabled).toBe(environment['AUTH_ENABLED'] === 'true');
  });

  test.each<[what: string, environment: Record<string, string>, line: string]>([
    [
      'neither secret nor key set',
      ON,
      'AUTH_ENABLED is "true"; allowed: with one of AUTH_JWT_SECRET and AUTH_JWKS_URL set, and neither is',
    ],
    [
      'both',
      { ...ON, AUTH_JWT_SECRET: SECRET, AUTH_JWKS_URL: JWKS },
      'AUTH_ENABLED is "true"; allowed: with one of AUTH_JWT_SECRET and AUTH_JWKS_URL set, and both are',
    ],
    ['a short secret', { ...ON, AUTH_JWT_SECRET: SECRET.slice(0, 31) }, 'AUTH_JWT_SECRET is "***"; allowed: at least 32 bytes'],
    [
      'a secret shorter than its hash',
      { ...ON, AUTH_JWT_SECRET: SECRET.slice(0, 63), AUTH_JWT_ALGORITHMS: 'HS256,HS512' },
      'AUTH_JWT_SECRET is "***"; allowed: at least 64 bytes, as HS512 of AUTH_JWT_ALGORITHMS wants',
    ],
    [
      'a secret and algorithms of keys',
      { ...ON, AUTH_JWT_SECRET: SECRET, AUTH_JWT_ALGORITHMS: 'HS256,RS256' },
      'AUTH_JWT_ALGORITHMS has "RS256"; allowed: what AUTH_JWT_SECRET can sign: HS256, HS384, HS512',
    ],
    [
      'keys and algorithms of secrets',
      { ...ON, AUTH_JWKS_URL: JWKS, AUTH_JWT_ALGORITHMS: 'HS256' },
      'AUTH_JWT_ALGORITHMS has "HS256"; allowed: what the keys of AUTH_JWKS_URL can sign',
    ],
    [
      'a secret, and nothing said of whether it counts',
      { AUTH_JWT_SECRET: SECRET },
      'AUTH_ENABLED is unset; allowed: true or false, where AUTH_JWT_SECRET is set',
    ],
    [
      'an issuer, and nothing said of whether it counts',
      { AUTH_JWT_ISSUER: 'https://issuer.example/' },
      'AUTH_ENABLED is unset; allowed: true or false, where AUTH_JWT_ISSUER is set',
    ],
  ])('does not start with %s', (_, environment, line) => {
    expect(complaint(environment)).toBe(line);
  });

  test('asks for an issuer as it stands', () => {
    expect(readConfig({ ...ON, AUTH_JWKS_URL: JWKS, AUTH_JWT_ISSUER: 'a, b' }).authJwtIssuer).toBe('a, b');
  });

  test.each([
    ['unset', {}, 'same-origin'],
    ['empty', { ALLOWED_ORIGINS: '' }, 'same-origin'],
    ['*', { ALLOWED_ORIGINS: '*' }, '*'],
    ['a list', { ALLOWED_ORIGINS: 'https://a.example' }, ['https://a.example']],
  ])('with ALLOWED_ORIGINS %s lets pages connect from %p', (_, environment, allowed) => {
    expect(readConfig({ ...ON, AUTH_JWKS_URL: JWKS, ...environment }).allowedOrigins).toEqual(allowed);
  });

  test.each([{ AUTH_JWT_SECRET: 'hunter2' }, { ...ON, AUTH_JWKS_URL: 'https://me:hunter2@issuer.example/jwks' }])(
    'no secret is printed: %p',
    (environment) => {
      expect(complaint(environment)).not.toContain('hunter2');
    },
  );
});

describe('two values that contradict each other are refused', () => {
  test.each([
    ['equal', { PING_INTERVAL_MS: '5000', PONG_TIMEOUT_MS: '5000' }, '5000', '5000'],
    ['more', { PING_INTERVAL_MS: '5001', PONG_TIMEOUT_MS: '5000' }, '5001', '5000'],
    ['more than the default', { PING_INTERVAL_MS: '60000' }, '60000', '60000'],
    ['more, the other being the default', { PONG_TIMEOUT_MS: '20000' }, '25000', '20000'],
  ])('a ping interval that is %s', (_, environment, ping, pong) => {
    expect(complaint(environment)).toBe(`PING_INTERVAL_MS is "${ping}"; allowed: less than PONG_TIMEOUT_MS, which is "${pong}"`);
  });

  test.each([
    ['for the default message', { MAX_HELD_BYTES: '65535' }, '65535', '65536'],
    ['for a message of the size allowed', { MAX_HELD_BYTES: '65536', MAX_MESSAGE_BYTES: '65537' }, '65536', '65537'],
  ])('fewer bytes held than one message has: too few %s', (_, environment, held, message) => {
    expect(complaint(environment)).toBe(
      `MAX_HELD_BYTES is "${held}"; allowed: at least MAX_MESSAGE_BYTES, which is "${message}"`,
    );
  });

  test('a ping interval of one millisecond less is fine', () => {
    expect(readConfig({ PING_INTERVAL_MS: '4999', PONG_TIMEOUT_MS: '5000' })).toMatchObject({ pingIntervalMs: 4999 });
  });

  test.each([
    ['given', { PORT: '9090', METRICS_PORT: '9090' }, '9090'],
    ['by default', { METRICS_PORT: '8080' }, '8080'],
  ])('one port for both, %s', (_, environment, port) => {
    expect(complaint(environment)).toBe(`METRICS_PORT is "${port}"; allowed: another port than PORT`);
  });

  test.each<[string, Record<string, string>, string]>([
    [
      'sentinels without a name',
      { REDIS_SENTINELS: 'a:1' },
      'REDIS_SENTINELS is "a:1"; allowed: nothing without REDIS_SENTINEL_NAME',
    ],
    [
      'a name without sentinels',
      { REDIS_SENTINEL_NAME: 'm' },
      'REDIS_SENTINEL_NAME is "m"; allowed: nothing without REDIS_SENTINELS',
    ],
    [
      'a cluster and a prefix that would put all rooms into one slot',
      { REDIS_CLUSTER_NODES: 'a:1', REDIS_CHANNEL_PREFIX: '{chat}' },
      'REDIS_CHANNEL_PREFIX is "{chat}"; allowed: no hash tag, {…}, while REDIS_CLUSTER_NODES is set',
    ],
    [
      'a cluster and sentinels',
      { REDIS_CLUSTER_NODES: 'a:1', REDIS_SENTINELS: 'b:2', REDIS_SENTINEL_NAME: 'm' },
      'REDIS_SENTINELS is "b:2"; allowed: nothing while REDIS_CLUSTER_NODES is set',
    ],
    [
      'a cluster and no Redis',
      { REDIS_CLUSTER_NODES: 'a:1', REDIS_URL: 'memory:' },
      'REDIS_CLUSTER_NODES is "a:1"; allowed: nothing while REDIS_URL is "memory:"',
    ],
    [
      'sentinels and no Redis',
      { REDIS_SENTINELS: 'a:1', REDIS_SENTINEL_NAME: 'm', REDIS_URL: 'memory:' },
      'REDIS_SENTINELS is "a:1"; allowed: nothing while REDIS_URL is "memory:"',
    ],
  ])('%s', (_, environment, line) => {
    expect(complaint(environment)).toBe(line);
  });

  test('two free ports are two ports', () => {
    expect(readConfig({ PORT: '0', METRICS_PORT: '0' })).toMatchObject({ port: 0, metricsPort: 0 });
  });
});

test.each(DEFAULTS)('the help names %s, its default and what it is for', (variable, _, value) => {
  const lines = describeConfig().split('\n');
  const at = lines.indexOf(`  ${variable} (${value === undefined ? 'unset' : String(value)})`);
  expect(at).toBeGreaterThanOrEqual(0);
  expect(lines[at + 1]).toMatch(/^ {6}\S.*; \S/);
});

describe('settings', () => {
  test('that are left out have their defaults', () => {
    expect(checkConfig({})).toEqual(readConfig({}));
    expect(checkConfig({ port: undefined })).toEqual(readConfig({}));
  });

  test('may be values, or the texts of their variables', () => {
    const environment = { PORT: '0', REDIS_CLUSTER_NODES: 'a:1,b:2', AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET };
    const redisClusterNodes = ['a:1', 'b:2'];
    const settings = { port: 0, redisClusterNodes, authEnabled: true, authJwtSecret: SECRET };
    expect(checkConfig(settings)).toEqual(readConfig(environment));
    expect(checkConfig({ port: '0', redisClusterNodes: 'a:1,b:2', authEnabled: 'true', authJwtSecret: SECRET })).toEqual(
      readConfig(environment),
    );
  });

  test('may be a configuration that was read before, and are then the same', () => {
    const config = readConfig({
      ...{ TRUST_PROXY: '10.0.0.0/8', BASE_PATH: '/', ALLOWED_ORIGINS: 'https://a.example', PORT: '0' },
      REDIS_URL: 'rediss://user:se%2Fcret@redis.example',
    });
    expect(checkConfig(config)).toEqual(config);
    expect(checkConfig({ ...config, port: 1 })).toEqual({ ...config, port: 1 });
    expect(checkConfig(config).trustProxy?.has('10.1.2.3')).toBe(true);
  });

  test('may be a configuration with tokens that was read before, and pages of the same host are let in still', () => {
    const config = readConfig({ AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET });
    expect(config.allowedOrigins).toBe('same-origin');
    expect(checkConfig(config)).toEqual(config);
  });

  test.each<[what: string, settings: object, line: string]>([
    ['a bad value', { port: -1 }, 'PORT is "-1"; allowed: an integer from 0 to 65535'],
    ['a value of another kind', { port: {} }, 'PORT is "[object Object]"; allowed: an integer from 0 to 65535'],
    ['null', { logLevel: null }, 'LOG_LEVEL is "null"; allowed: one of trace, debug, info, warn, error, fatal, silent'],
    [
      'an address that is none',
      { redisUrl: { host: 'a b', port: 1, tls: false } },
      'REDIS_URL is "[object Object]"; allowed: a redis:, rediss: or memory: URL',
    ],
    ['an empty text', { redisUrl: '' }, 'REDIS_URL is ""; allowed: a redis:, rediss: or memory: URL'],
    ['a misspelt one', { prot: 1 }, 'prot is not a setting'],
    ['what every object has', { toString: 1 }, 'toString is not a setting'],
    [
      'a contradiction',
      { pingIntervalMs: 2, pongTimeoutMs: 1 },
      'PING_INTERVAL_MS is "2"; allowed: less than PONG_TIMEOUT_MS, which is "1"',
    ],
  ])('are refused for %s', (_, settings, line) => {
    expect(() => checkConfig(settings as Settings)).toThrow(new ConfigError(line));
  });
});
