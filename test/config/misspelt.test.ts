import { describe, expect, test } from '@jest/globals';
import { editDistance, misspeltVariables } from '../../src/config/misspelt.js';

describe('misspeltVariables', () => {
  test.each([
    ['REDIS_URI', 'REDIS_URL'],
    ['REDIS_PASSWORD', 'REDIS_URL'],
    ['REDIS_PORT', 'REDIS_URL'],
    ['REDIS_SENTINEL', 'REDIS_SENTINELS'],
    ['CHAT_PORT', 'PORT'],
    ['CHAT_API_LOG_LEVEL', 'LOG_LEVEL'],
    ['AUTH_JWT_SECERT', 'AUTH_JWT_SECRET'],
    ['AUTH_JWKS_URI', 'AUTH_JWKS_URL'],
    ['MAX_CONNECTION', 'MAX_CONNECTIONS'],
    ['SEND_BUFFER_SIZE', 'SEND_BUFFER_BYTES'],
    ['PUBLISH_TIMEOUT', 'PUBLISH_TIMEOUT_MS'],
    ['LOGLEVEL', 'LOG_LEVEL'],
    ['ALLOWED_ORIGIN', 'ALLOWED_ORIGINS'],
    ['TRUSTED_PROXY', 'TRUST_PROXY'],
    ['POTR', 'PORT'],
    ['redis_url', 'REDIS_URL'],
  ])('should take %s for %s', (name, meant) => {
    expect(misspeltVariables({ [name]: 'x' })).toEqual([{ name, meant }]);
  });

  test.each(['CHAT_COLOUR', 'AUTH_BACKEND_FOR_SOMETHING_ELSE', 'MAX_THINGS_OF_ANOTHER_KIND'])(
    'should report %s, which has our prefix, without a guess',
    (name) => {
      expect(misspeltVariables({ [name]: 'x' })).toEqual([{ name, meant: undefined }]);
    },
  );

  test.each([
    ...['PATH', 'HOME', 'HOSTNAME', 'PWD', 'OLDPWD', 'LANG', 'TERM', 'USER', 'LOGNAME', 'SHELL', 'SHLVL', 'TZ', 'CI', '_'],
    ...['NODE_ENV', 'NODE_OPTIONS', 'NODE_VERSION', 'NODE_EXTRA_CA_CERTS', 'YARN_VERSION', 'HTTP_PROXY', 'HTTPS_PROXY'],
    ...['npm_config_port', 'npm_package_name', 'npm_lifecycle_event', 'POD_NAME', 'POD_IP', 'HOST_IP', 'NODE_NAME'],
    ...['KUBERNETES_SERVICE_HOST', 'KUBERNETES_PORT_443_TCP', 'REDIS_SERVICE_HOST', 'REDIS_SERVICE_PORT_REDIS'],
    ...['REDIS_PORT_6379_TCP', 'REDIS_PORT_6379_TCP_ADDR', 'CHAT_API_SERVICE_PORT_HTTP', 'REDIS_ENV_REDIS_VERSION'],
  ])('should leave %s alone', (name) => {
    expect(misspeltVariables({ [name]: 'x' })).toEqual([]);
  });

  test('should leave alone the address that Kubernetes gives a service called redis', () => {
    expect(misspeltVariables({ REDIS_PORT: 'tcp://10.0.0.1:6379' })).toEqual([]);
  });

  test('should leave alone the variables of the service, set or empty', () => {
    expect(misspeltVariables({ REDIS_URL: 'memory:', PORT: '', LOG_LEVEL: undefined })).toEqual([]);
  });
});

test.each([
  ['', '', 0],
  ['PORT', 'PORT', 0],
  ['PORT', '', 4],
  ['', 'PORT', 4],
  ['PORT', 'PORTS', 1],
  ['PORT', 'SPORT', 1],
  ['PORT', 'PART', 1],
  ['PORT', 'PROT', 1],
  ['REDISURI', 'REDISURL', 1],
  ['HOST', 'PORT', 2],
  ['KITTEN', 'SITTING', 3],
])('editDistance should make %p and %p differ by %d', (a, b, edits) => {
  expect(editDistance(a, b)).toBe(edits);
});
