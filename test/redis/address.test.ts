import { describe, expect, test } from '@jest/globals';
import { addressOf, isRedisAddress, readRedisUrl, readServer, withoutLogin } from '../../src/redis/address.js';

describe('the URL of a Redis', () => {
  test.each<[what: string, url: string, address: object]>([
    ['a name', 'redis://redis.example', { host: 'redis.example', port: 6379, tls: false }],
    ['a port', 'redis://redis.example:6380', { host: 'redis.example', port: 6380, tls: false }],
    ['a port with leading zeros', 'redis://redis.example:06380', { host: 'redis.example', port: 6380, tls: false }],
    ['an empty port', 'redis://redis.example:', { host: 'redis.example', port: 6379, tls: false }],
    ['a trailing slash', 'redis://redis.example/', { host: 'redis.example', port: 6379, tls: false }],
    ['the only database', 'redis://redis.example/0', { host: 'redis.example', port: 6379, tls: false }],
    ['a trailing dot', 'redis://redis.example.', { host: 'redis.example.', port: 6379, tls: false }],
    ['an address', 'redis://127.0.0.1', { host: '127.0.0.1', port: 6379, tls: false }],
    ['an IPv6 address', 'redis://[::1]:6380', { host: '::1', port: 6380, tls: false }],
    ['an underscore', 'redis://redis_1', { host: 'redis_1', port: 6379, tls: false }],
    ['TLS', 'rediss://redis.example', { host: 'redis.example', port: 6379, tls: true }],
    ['a scheme in capitals', 'REDIS://redis.example', { host: 'redis.example', port: 6379, tls: false }],
    ['TLS in capitals', 'REDISS://redis.example', { host: 'redis.example', port: 6379, tls: true }],
    [
      'user and password',
      'redis://user:secret@redis.example',
      { host: 'redis.example', port: 6379, username: 'user', password: 'secret', tls: false },
    ],
    ['a password alone', 'redis://:secret@redis.example', { host: 'redis.example', port: 6379, password: 'secret', tls: false }],
    [
      'a user without password, who is sent an empty one',
      'redis://user@redis.example',
      { host: 'redis.example', port: 6379, username: 'user', password: '', tls: false },
    ],
    ['an empty login', 'redis://:@redis.example', { host: 'redis.example', port: 6379, tls: false }],
    [
      'percent-encoded user and password',
      'redis://us%40er:s%C3%A9cret%2F%2B%40%25%3F%23%20%0A@redis.example',
      { host: 'redis.example', port: 6379, username: 'us@er', password: 'sécret/+@%?# \n', tls: false },
    ],
    [
      'a password that URL encodes by itself',
      'redis://user:é"@:b\\@redis.example',
      { host: 'redis.example', port: 6379, username: 'user', password: 'é"@:b\\', tls: false },
    ],
  ])('may have %s', (_, url, address) => {
    expect(readRedisUrl(url)).toEqual(address);
    expect(isRedisAddress(readRedisUrl(url))).toBe(true);
  });

  test.each<[what: string, url: string]>([
    ['nothing', ''],
    ['no scheme', 'localhost:6379'],
    ['another scheme', 'http://localhost'],
    ['a socket in the file system', 'redis+unix:///run/redis.sock'],
    ['no slashes', 'redis:localhost'],
    ['no host', 'redis://'],
    ['no host but a port', 'redis://:6379'],
    ['no host but a database', 'redis:///0'],
    ['a space in front', ' redis://localhost'],
    ['a space behind', 'redis://localhost '],
    ['a line feed within', 'redis://local\nhost'],
    ['a tab in the password', 'redis://:se\tcret@localhost'],
    ['a control character', 'redis://local\x7fhost'],
    ['port 0', 'redis://localhost:0'],
    ['a port too high', 'redis://localhost:65536'],
    ['a port that is none', 'redis://localhost:redis'],
    ['an encoded host', 'redis://h%41'],
    ['a host that is not ASCII', 'redis://tée.example'],
    ['a name in brackets', 'redis://[localhost]'],
    ['an IPv6 address that is none', 'redis://[:::::]'],
    ['a bad percent-encoding in the password', 'redis://:a%zz@localhost'],
    ['a bad percent-encoding in the user', 'redis://%:a@localhost'],
    ['a percent-encoding that is not UTF-8', 'redis://:%FF@localhost'],
    ['a slash in the password', 'redis://user:1/2@localhost'],
    ['a path that is no number', 'redis://localhost/chat'],
    ['a path of two', 'redis://localhost/0/1'],
    ['an encoded number', 'redis://localhost/%30'],
    ['a negative number', 'redis://localhost/-1'],
  ])('has not %s', (_, url) => {
    expect(readRedisUrl(url)).toBeUndefined();
  });

  test.each(['1', '15', '01', '9'.repeat(400)])('has no database %s, and REDIS_CHANNEL_PREFIX is named for it', (database) => {
    expect(readRedisUrl(`redis://localhost/${database}`)).toEqual({
      allowed: expect.stringMatching(/database.*REDIS_CHANNEL_PREFIX/) as unknown,
    });
  });

  test.each([
    'redis://localhost?',
    'redis://localhost?protocol=3',
    'redis://localhost?connectTimeout=1000',
    'redis://localhost:6379/0?tls=true',
    'REDIS://localhost?db=1',
    'redis://localhost#',
    'redis://localhost/0#fragment',
    'redis://:se?cret@localhost',
    'redis://user#secret@localhost',
  ])('has no query and no fragment: %s', (url) => {
    expect(readRedisUrl(url)).toEqual({ allowed: expect.stringMatching(/^no query and no fragment/) as unknown });
  });
});

describe('an address', () => {
  const address = { host: 'unused', port: 6379, username: 'user', password: 'secret', tls: true };

  test.each<[server: string, host: string, port: number]>([
    ['redis.example:6380', 'redis.example', 6380],
    ['10.0.0.1:7000', '10.0.0.1', 7000],
    ['[::1]:7000', '::1', 7000],
    ['::1:7000', '::1', 7000],
  ])('of %s has its host and port, and the login and TLS of another', (server, host, port) => {
    expect(addressOf(server, address)).toEqual({ ...address, host, port });
  });

  test('can be had without its login', () => {
    expect(withoutLogin(address)).toEqual({ host: 'unused', port: 6379, tls: true });
  });

  test.each<[given: unknown]>([
    [undefined],
    [null],
    ['redis://localhost'],
    [{}],
    [{ ...address, host: 'a b' }],
    [{ ...address, host: ':::' }],
    [{ ...address, port: 0 }],
    [{ ...address, port: 1.5 }],
    [{ ...address, port: '6379' }],
    [{ ...address, username: 1 }],
    [{ ...address, password: null }],
    [{ ...address, tls: undefined }],
  ])('is not %p', (given) => {
    expect(isRedisAddress(given)).toBe(false);
  });
});

describe('a server', () => {
  test.each([
    ['localhost:7000', 'localhost:7000'],
    ['localhost:07000', 'localhost:7000'],
    ['10.0.0.1:7000', '10.0.0.1:7000'],
    ['[::1]:7000', '[::1]:7000'],
    ['[fe80::1%eth0]:7000', '[fe80::1%eth0]:7000'],
  ])('%s is %s', (given, server) => {
    expect(readServer(given)).toBe(server);
  });

  test.each(['localhost', 'localhost:0', 'localhost:65536', '::1:7000', '[:::::]:7000', '[localhost]:7000', 'u:p@a:1', 'a b:1'])(
    '%s is none',
    (given) => {
      expect(readServer(given)).toBeUndefined();
    },
  );
});
