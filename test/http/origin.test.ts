import { describe, expect, test } from '@jest/globals';
import { isAllowedOrigin, readOrigins, type Origins } from '../../src/http/origin.js';

const HOST = ['chat.example'];

describe('a list of origins', () => {
  test.each<[text: string, origins: Origins]>([
    ['*', '*'],
    ['https://chat.example', ['https://chat.example']],
    ['https://chat.example:8443, http://localhost:3000', ['https://chat.example:8443', 'http://localhost:3000']],
    ['http://[::1]:3000', ['http://[::1]:3000']],
    ['capacitor://localhost', ['capacitor://localhost']],
    ['chrome-extension://abcdefgh', ['chrome-extension://abcdefgh']],
  ])('may be %s', (text, origins) => {
    expect(readOrigins(text)).toEqual(origins);
  });

  test.each([
    ...['', ',', 'null', 'chat.example', '//chat.example', 'https://', 'https:chat.example', 'https://chat.example/'],
    ...[
      'https://chat.example:443',
      'http://chat.example:80',
      'HTTPS://chat.example',
      'https://Chat.example',
      'https://*.example',
    ],
    ...[
      'https://a.example,*',
      'https://me@chat.example',
      'https://chat.example?x',
      'https://chät.example',
      'https://chat example',
    ],
  ])('cannot be %p, which no browser would send', (text) => {
    expect(readOrigins(text)).toBeUndefined();
  });
});

describe('where all may come from', () => {
  test.each([[[]], [['https://evil.example']], [['null']], [['a', 'b']]])('%p passes', (origin) => {
    expect(isAllowedOrigin('*', origin, HOST)).toBe(true);
  });
});

describe('where a list may come from', () => {
  const allowed = ['https://chat.example', 'http://localhost:3000'];
  test.each([[[]], [['https://chat.example']], [['http://localhost:3000']]])('%p passes', (origin) => {
    expect(isAllowedOrigin(allowed, origin, ['other.example'])).toBe(true);
  });

  test.each([
    ...[
      'null',
      '',
      'http://chat.example',
      'https://chat.example:8443',
      'https://chat.example.evil.example',
      'https://evil.example',
    ],
    ...['https://chat.example/', 'https://CHAT.example', 'https://chat.exampl', 'http://localhost', 'https://chat.example, null'],
  ])('%p does not', (origin) => {
    expect(isAllowedOrigin(allowed, [origin], HOST)).toBe(false);
  });

  test('two origins, though each is allowed, do not', () => {
    expect(isAllowedOrigin(allowed, allowed, HOST)).toBe(false);
  });
});

describe('where only the same host may come from', () => {
  test.each<[origin: string, host: string]>([
    ['https://chat.example', 'chat.example'],
    ['http://chat.example', 'chat.example'],
    ['https://chat.example', 'chat.example:443'],
    ['http://chat.example', 'chat.example:80'],
    ['https://chat.example', 'CHAT.example'],
    ['https://chat.example:8443', 'chat.example:8443'],
    ['http://127.0.0.1:8080', '127.0.0.1:8080'],
    ['http://[::1]:8080', '[::1]:8080'],
  ])('%s passes to %s', (origin, host) => {
    expect(isAllowedOrigin('same-origin', [origin], ['other.example', host])).toBe(true);
  });

  test('without an origin, one passes: it is no browser', () => {
    expect(isAllowedOrigin('same-origin', [], HOST)).toBe(true);
  });

  test.each<[origin: string, host: string]>([
    ['null', 'chat.example'],
    ['null', 'null'],
    ['', 'chat.example'],
    ['', ''],
    ['https://evil.example', 'chat.example'],
    ['https://chat.example.evil.example', 'chat.example'],
    ['https://evil.example', 'chat.example@evil.example'],
    ['https://chat.example', 'chat.example/x'],
    ['https://chat.example:8443', 'chat.example'],
    ['https://chat.example', 'chat.example:8443'],
    ['https://chat.example', 'chat.example:80'],
    ['chat.example', 'chat.example'],
    ['file://chat.example', 'chat.example'],
    ['https://chat.example/x', 'chat.example'],
    ['https://chat.example#', 'chat.example'],
  ])('%p does not pass to %p', (origin, host) => {
    expect(isAllowedOrigin('same-origin', [origin], [host])).toBe(false);
  });
});
