import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { errors, jwtVerify } from 'jose';
import { gzipSync } from 'node:zlib';
import { KeySet } from '../../src/auth/key-set.js';
import { goodClaims, signingKey, startKeyServer, type KeyServer, type SigningKey } from '../support/token.js';

const [first, second] = [signingKey('one'), signingKey('two')];
const MINUTE_MS = 60_000;

let keys: readonly SigningKey[];
let server: KeyServer;
let nowMs: number;
let failures: number;
let set: KeySet;
/** Of the fetch that is under way. */
let timeout: AbortController;

beforeEach(async () => {
  keys = [first];
  server = await startKeyServer(() => keys);
  nowMs = 0;
  failures = 0;
  set = new KeySet({
    url: new URL(server.url),
    timeout: () => {
      timeout = new AbortController();
      return timeout.signal;
    },
    now: () => nowMs,
    onFailure: () => {
      failures += 1;
    },
  });
});

afterEach(async () => {
  await server.stop();
});

/** Whether the set has the key of a token, asking for newer ones no more than it does by itself. */
async function knows(key: SigningKey): Promise<boolean> {
  try {
    await jwtVerify(key.sign(goodClaims()), set.find);
    return true;
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return false;
    throw error;
  }
}

/** The answer of a server that hangs until the time of the fetch is over, which is at once. */
const hang: KeyServer['answer'] = () => {
  timeout.abort(new Error('timeout'));
};

function breakServer(): void {
  server.answer = (response) => response.writeHead(500).end();
}

describe('keys', () => {
  test('are fetched when first needed, once for all who wait', async () => {
    expect(server.asked).toBe(0);
    expect(await Promise.all([knows(first), knows(first), knows(second)])).toEqual([true, true, false]);
    expect(server.asked).toBe(1);
  });

  test('are not fetched again within ten minutes', async () => {
    await knows(first);
    nowMs += 10 * MINUTE_MS - 1;
    expect(await knows(first)).toBe(true);
    expect(server.asked).toBe(1);
  });

  test('that were withdrawn count for ten minutes at most', async () => {
    await knows(first);
    keys = [second];
    nowMs += 10 * MINUTE_MS;
    expect([await knows(first), await knows(second), server.asked]).toEqual([false, true, 2]);
  });

  test('that are new are there after a refresh', async () => {
    await knows(first);
    keys = [first, second];
    expect(await knows(second)).toBe(false);
    expect(await set.refresh()).toBe(true);
    expect([await knows(first), await knows(second)]).toEqual([true, true]);
  });
});

describe('a refresh', () => {
  test('is made at most once a second, however often it is asked for', async () => {
    await knows(first);
    expect([await set.refresh(), await set.refresh(), await set.refresh()]).toEqual([true, false, false]);
    nowMs += 999;
    expect([await set.refresh(), server.asked]).toEqual([false, 2]);
    nowMs += 1;
    expect([await set.refresh(), server.asked]).toEqual([true, 3]);
  });

  test('is one for all who ask while it is under way', async () => {
    await knows(first);
    const got = await Promise.all(Array.from({ length: 100 }, () => set.refresh()));
    expect([new Set(got), server.asked]).toEqual([new Set([true]), 2]);
  });

  test('rejects where no keys came, also for who asks right after', async () => {
    await knows(first);
    breakServer();
    await expect(set.refresh()).rejects.toThrow('cannot fetch JWKS');
    await expect(set.refresh()).rejects.toThrow('cannot fetch JWKS');
    expect([await knows(first), server.asked]).toEqual([true, 2]);
  });

  test('keeps 500 waiting and no more', async () => {
    await knows(first);
    server.answer = hang;
    const asked = await Promise.allSettled(Array.from({ length: 600 }, () => set.refresh()));
    const reasons = asked.map((each) => (each.status === 'rejected' ? String(each.reason) : 'done'));
    expect(reasons.filter((reason) => reason.includes('too many'))).toHaveLength(100);
  });
});

describe('while keys cannot be fetched', () => {
  test('there are none at first, and the server is asked once a second', async () => {
    breakServer();
    for (let n = 0; n < 5; n++) await expect(knows(first)).rejects.toThrow('cannot fetch JWKS');
    expect(server.asked).toBe(1);
    nowMs += 1000;
    await expect(knows(first)).rejects.toThrow('cannot fetch JWKS');
    expect(server.asked).toBe(2);
  });

  test('those that there were go on counting for an hour, and somebody is told', async () => {
    await knows(first);
    breakServer();
    nowMs += 60 * MINUTE_MS - 1;
    expect([await knows(first), await knows(first), failures, server.asked]).toEqual([true, true, 1, 2]);
    nowMs += 1;
    await expect(knows(first)).rejects.toThrow('cannot fetch JWKS');
  });

  test('nobody waits for a server that hangs, once it was seen to', async () => {
    await knows(first);
    server.answer = hang;
    nowMs += 10 * MINUTE_MS;
    expect([await knows(first), failures]).toEqual([true, 1]);
    nowMs += 1000;
    server.answer = () => undefined;
    // The second fetch has not failed yet.
    expect([await knows(first), failures]).toEqual([true, 1]);
  });

  test('nothing is lost: they count again once they can be', async () => {
    breakServer();
    await expect(knows(first)).rejects.toThrow();
    server.answer = (response) => response.end(JSON.stringify({ keys: [first.jwk] }));
    nowMs += 1000;
    expect(await knows(first)).toBe(true);
  });
});

describe('an answer is no key set', () => {
  test.each<[what: string, answer: KeyServer['answer']]>([
    ['that has another status', (response) => response.writeHead(404).end(JSON.stringify({ keys: [] }))],
    ['that is no JSON', (response) => response.end('<html>')],
    ['that is empty', (response) => response.end()],
    ['that is an array', (response) => response.end('[]')],
    ['that has no keys', (response) => response.end('{}')],
    ['whose keys are no objects', (response) => response.end('{"keys":[null]}')],
    ['that never begins', hang],
    [
      'that never ends',
      (response) =>
        response.write('{"keys":[', () => {
          timeout.abort(new Error('timeout'));
        }),
    ],
    ['that breaks off', (response) => response.writeHead(200, { 'Content-Length': '99' }).end('{"keys":[')],
    ['of more than 256 KiB', (response) => response.end(`{"keys":[]${' '.repeat(256 * 1024)}}`)],
    [
      'of a megabyte in a kilobyte',
      (response) =>
        response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(gzipSync(`{"keys":[]${' '.repeat(1024 * 1024)}}`)),
    ],
  ])('%s', async (_, answer) => {
    server.answer = answer;
    await expect(knows(first)).rejects.toThrow('cannot fetch JWKS');
  });

  test('that leads elsewhere, where a key set is', async () => {
    const other = await startKeyServer(() => [first]);
    server.answer = (response) => response.writeHead(307, { Location: other.url }).end();
    try {
      await expect(knows(first)).rejects.toThrow('cannot fetch JWKS');
      expect(other.asked).toBe(0);
    } finally {
      await other.stop();
    }
  });

  test.each<[what: string, more: readonly unknown[]]>([
    ['a key that nobody knows', [{ kty: 'AKP', kid: 'three' }]],
    ['a key without its numbers', [{ kty: 'RSA', kid: 'three' }]],
    ['a shared secret', [{ kty: 'oct', kid: 'three', k: 'c2VjcmV0' }]],
    ['an empty object', [{}]],
    ['prototypes', [JSON.parse('{"__proto__":{"kty":"EC"},"constructor":1}')]],
  ])('but %s beside a good one does no harm', async (_, more) => {
    server.answer = (response) => response.end(JSON.stringify({ keys: [...more, first.jwk] }));
    expect(await knows(first)).toBe(true);
  });
});
