import { describe, expect, test } from '@jest/globals';
import { checkConfig, readConfig, type Settings } from '../../src/config/config.js';
import { redact, redactedConfig } from '../../src/config/redact.js';

describe('redactedConfig', () => {
  const shown = (settings: Settings) => redactedConfig(checkConfig(settings));

  test('should name each variable that has a value, with its value', () => {
    expect(shown({ port: 0, redisClusterNodes: 'a:1,b:2', allowedOrigins: 'https://a.example' })).toMatchObject({
      REDIS_URL: 'redis://localhost:6379',
      REDIS_CLUSTER_NODES: ['a:1', 'b:2'],
      ALLOWED_ORIGINS: ['https://a.example'],
      PORT: 0,
      AUTH_ENABLED: false,
      LOG_LEVEL: 'info',
    });
  });

  test('should leave out variables without a value', () => {
    expect(Object.keys(shown({}))).not.toContain('METRICS_PORT');
    expect(shown({ redisUrl: 'memory:' })).toMatchObject({ REDIS_URL: 'memory:' });
  });

  test('should mask the login of the Redis URL', () => {
    expect(shown({ redisUrl: 'rediss://me:hunter2@redis.example:6380' })).toMatchObject({
      REDIS_URL: 'rediss://***@redis.example:6380',
    });
    expect(shown({ redisUrl: 'redis://:hunter2@[::1]' })).toMatchObject({ REDIS_URL: 'redis://***@[::1]:6379' });
  });

  test('should mask the secret of tokens and the query of the JWKS URL', () => {
    const on = { authEnabled: true };
    expect(shown({ ...on, authJwtSecret: 'hunter2'.repeat(9) })).toMatchObject({ AUTH_JWT_SECRET: '***' });
    expect(shown({ ...on, authJwksUrl: 'https://issuer.example/jwks?key=hunter2' })).toMatchObject({
      AUTH_JWKS_URL: 'https://issuer.example/jwks?***',
    });
  });

  test('should show trusted proxies as they were given', () => {
    expect(redactedConfig(readConfig({ TRUST_PROXY: '10.0.0.0/8, ::1' }))).toMatchObject({ TRUST_PROXY: '10.0.0.0/8, ::1' });
  });
});

test.each([
  ['AUTH_JWT_SECRET', 'hunter2', '***'],
  ['REDIS_URL', 'redis://me:hunter2@host/1', 'redis://***@host/1'],
  ['REDIS_URL', 'redis://me:hunter2?x@host', 'redis://***'],
  ['HOST', 'me:hunter2@host', '***@host'],
  ['LOG_LEVEL', 'verbose', 'verbose'],
])('redact should show %s=%s as %s', (name, given, shown) => {
  expect(redact(name, given)).toBe(shown);
});
