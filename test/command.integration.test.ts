import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from '@jest/globals';
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

describe('the command line', () => {
  test('should print the version', async () => {
    expect(await runService(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});
