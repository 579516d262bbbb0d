import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from '@jest/globals';
import { readConfig } from '../src/config/config.js';
import { runService, startService, type Service } from './support/service.js';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

let service: Service | undefined;

afterEach(async () => {
  await service?.stop('SIGKILL');
});

describe('a log line', () => {
  test('should have its level by name and its time in ISO 8601', async () => {
    service = await startService();
    const times = service.logs.map(({ level, time }) => ({ level, time }));
    expect(times).not.toEqual([]);
    for (const line of times) {
      expect(line).toEqual({ level: 'info', time: expect.stringMatching(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) });
    }
  });
});

describe('the line that the service logs when it listens', () => {
  test('should have its version, Node’s, its address and the effective configuration', async () => {
    service = await startService({ MAX_ROOMS: '7', TRUST_PROXY: '10.0.0.0/8' });
    expect(await service.logged('listening')).toMatchObject({
      version,
      node: process.version,
      address: '127.0.0.1',
      port: service.port,
      config: { REDIS_URL: 'memory:', MAX_ROOMS: 7, TRUST_PROXY: '10.0.0.0/8', PUBLISH_WINDOW: 32, LOG_LEVEL: 'info' },
    });
    expect(service.logs.filter(({ msg }) => msg === 'listening')).toHaveLength(1);
  });

  test('should have no secret', async () => {
    service = await startService({
      REDIS_URL: 'redis://me:hunter2-hunter2@127.0.0.1:1',
      AUTH_ENABLED: 'true',
      AUTH_JWT_SECRET: 'hunter2'.repeat(9),
    });
    expect(await service.logged('listening')).toMatchObject({
      config: { REDIS_URL: 'redis://***@127.0.0.1:1', AUTH_JWT_SECRET: '***' },
    });
    expect(JSON.stringify(service.logs)).not.toContain('hunter2');
  });
});

describe('an environment variable that looks like one of the service', () => {
  test('should be warned of by its name and the variable that was perhaps meant, without its value', async () => {
    service = await startService({
      ...{ REDIS_URI: 'redis://me:hunter2@127.0.0.1', CHAT_PORT: '81', LOGLEVEL: 'debug', MAX_THINGS_OF_ANOTHER_KIND: '1' },
      ...{ PATH: '/bin', npm_config_port: '1', REDIS_SERVICE_HOST: '10.0.0.1' },
    });
    const warnings = service.logs.filter(({ msg }) => msg === 'unknown environment variable');
    const seen = warnings.map(({ level, variable, meant }) => ({ level, variable, meant }));
    expect(seen.sort((a, b) => String(a.variable).localeCompare(String(b.variable)))).toEqual([
      { level: 'warn', variable: 'CHAT_PORT', meant: 'PORT' },
      { level: 'warn', variable: 'LOGLEVEL', meant: 'LOG_LEVEL' },
      { level: 'warn', variable: 'MAX_THINGS_OF_ANOTHER_KIND', meant: undefined },
      { level: 'warn', variable: 'REDIS_URI', meant: 'REDIS_URL' },
    ]);
    expect(JSON.stringify(service.logs)).not.toContain('hunter2');
  });
});

describe('--version', () => {
  test('should print the version of the package', async () => {
    expect(await runService(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

/** The error for an environment that is refused. */
function refusalOf(environment: Readonly<Record<string, string>>): string {
  try {
    readConfig(environment);
  } catch (error) {
    if (error instanceof Error) return error.message;
  }
  throw new Error('the environment was accepted');
}

describe('a bad value', () => {
  test.each([
    ['REDIS_URL', 'localhost:6379'],
    ['REDIS_URL', 'http://localhost'],
    ['REDIS_URL', 'redis://localhost/x'],
    ['REDIS_URL', 'memory'],
    ['REDIS_CHANNEL_PREFIX', 'a b'],
    ['REDIS_CHANNEL_PREFIX', 'a'.repeat(129)],
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '8080.5'],
    ['PORT', '0x50'],
    ['PORT', 'http'],
    ['BASE_PATH', 'chat'],
    ['BASE_PATH', '/chat?'],
    ['METRICS_PORT', 'on'],
    ['METRICS_PORT', '65536'],
    ['MAX_MESSAGE_BYTES', '0'],
    ['MAX_MESSAGE_BYTES', '64k'],
    ['SEND_BUFFER_MESSAGES', '0'],
    ['SEND_BUFFER_BYTES', '0'],
    ['SLOW_CONSUMER_POLICY', 'drop'],
    ['PUBLISH_WINDOW', '0'],
    ['PUBLISH_TIMEOUT_MS', '2s'],
    ['PING_INTERVAL_MS', '0'],
    ['PONG_TIMEOUT_MS', '1e5'],
    ['PONG_TIMEOUT_MS', '2147483648'],
    ['UPGRADE_TIMEOUT_MS', '0'],
    ['MAX_CONNECTIONS', '-1'],
    ['PRESENCE_MAX_MEMBERS', 'all'],
    ['SHUTDOWN_DELAY_MS', 'later'],
    ['SHUTDOWN_TIMEOUT_MS', '0'],
    ['LOG_LEVEL', 'INFO'],
    ['LOG_LEVEL', 'verbose'],
    ['AUTH_ENABLED', 'true'],
    ['AUTH_ENABLED', 'yes'],
  ])('%s=%s is refused in one line that names the variable, the value and what is allowed', (name, value) => {
    const line = refusalOf({ [name]: value });
    expect(line).not.toContain('\n');
    expect(line).toContain(name);
    expect(line).toContain(value);
    expect(line).toContain('allowed');
  });

  test.each([
    ['MAX_CONNECTIONS', 'many'],
    ['AUTH_ENABLED', 'true'],
  ])('%s=%s ends the process with 2 and one line', async (name, value) => {
    const { code, stdout, stderr } = await runService([], { REDIS_URL: 'memory:', PORT: '0', [name]: value });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toBe(`chat-api: ${refusalOf({ [name]: value })}\n`);
  });

  test.each<[string, Readonly<Record<string, string>>, RegExp]>([
    [
      'a ping interval as long as the timeout',
      { PING_INTERVAL_MS: '500', PONG_TIMEOUT_MS: '500' },
      /PING_INTERVAL_MS.*PONG_TIMEOUT_MS/,
    ],
    ['a ping interval over the default timeout', { PING_INTERVAL_MS: '60000' }, /PING_INTERVAL_MS.*PONG_TIMEOUT_MS/],
    ['a pong timeout below the default interval', { PONG_TIMEOUT_MS: '20000' }, /PING_INTERVAL_MS.*PONG_TIMEOUT_MS/],
    ['one port for two servers', { PORT: '18080', METRICS_PORT: '18080' }, /METRICS_PORT.*PORT/],
  ])('(%s) contradicts another, and both are named', (_, environment, line) => {
    expect(refusalOf(environment)).toMatch(line);
  });

  test.each([
    [' redis://localhost'],
    ['redis://:a%zz@localhost'],
    ['redis://localhost?protocol=3'],
    ['redis://localhost?connectTimeout=1000'],
    ['redis://localhost?tls=true'],
    ['redis://localhost/1'],
  ])('REDIS_URL=%s ends the process with 2 and one line', async (url) => {
    const { code, stdout, stderr } = await runService([], { REDIS_URL: url, PORT: '0' });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^chat-api: REDIS_URL is [^\n]*; allowed: [^\n]*\n$/);
  });

  test('of REDIS_URL is shown without its password', async () => {
    const { code, stderr } = await runService([], { REDIS_URL: 'amqp://user:open-sesame@redis:6379' });
    expect(code).toBe(2);
    expect(stderr).toContain('REDIS_URL');
    expect(stderr).not.toContain('sesame');
  });

  test('that spans lines is shown in one', () => {
    expect(refusalOf({ BASE_PATH: 'a\nb' })).toMatch(/^BASE_PATH .*$/);
  });
});

describe('options of the command line', () => {
  const NAMES = [
    ...['REDIS_URL', 'REDIS_CLUSTER_NODES', 'REDIS_SENTINELS', 'REDIS_SENTINEL_NAME', 'REDIS_CHANNEL_PREFIX'],
    ...['AUTH_ENABLED', 'AUTH_JWT_SECRET', 'AUTH_JWKS_URL', 'AUTH_JWT_ISSUER', 'AUTH_JWT_AUDIENCE', 'AUTH_JWT_ALGORITHMS'],
    ...['ALLOWED_ORIGINS', 'HOST', 'PORT', 'BASE_PATH', 'METRICS_PORT', 'TRUST_PROXY', 'MAX_MESSAGE_BYTES'],
    ...['SEND_BUFFER_MESSAGES', 'SEND_BUFFER_BYTES', 'SLOW_CONSUMER_POLICY', 'PUBLISH_WINDOW', 'PUBLISH_TIMEOUT_MS'],
    ...['PING_INTERVAL_MS', 'PONG_TIMEOUT_MS', 'UPGRADE_TIMEOUT_MS', 'MAX_CONNECTIONS', 'MAX_CONNECTIONS_PER_ADDRESS'],
    ...['MAX_ROOMS', 'MAX_HELD_BYTES', 'PRESENCE_MAX_MEMBERS', 'SHUTDOWN_DELAY_MS', 'SHUTDOWN_TIMEOUT_MS', 'LOG_LEVEL'],
  ];

  test('should print every variable for --help, whatever the environment', async () => {
    const { code, stdout, stderr } = await runService(['--help'], { PORT: 'bad' });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const printed = [...stdout.matchAll(/^\s*([A-Z]+(?:_[A-Z]+)*)\b/gm)].map(([, name]) => name);
    expect(printed).toEqual(expect.arrayContaining(NAMES));
  });

  test('should exit with 2 and print one line for any other', async () => {
    const { code, stdout, stderr } = await runService(['--help', 'me']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^[^\n]*usage[^\n]*\n$/);
  });
});
