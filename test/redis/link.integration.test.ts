import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { firstValueFrom, from, lastValueFrom, mergeMap } from 'rxjs';
import { LinkError, redisLink$, type RedisLink } from '../../src/redis/link.js';
import { isRedisAddress, readRedisUrl } from '../../src/redis/address.js';
import { bulk, startFakeRedis, type FakeRedis } from '../support/fake-redis.js';
import { startRedis, type TestRedis } from '../support/redis.js';

let redis: FakeRedis;

beforeEach(async () => {
  redis = await startFakeRedis();
});

afterEach(() => {
  redis.stop();
});

/** A link that is ready, and how it ends. */
async function connected(): Promise<{ readonly link: RedisLink; readonly ended: Promise<unknown> }> {
  const link$ = redisLink$({ address: { host: '127.0.0.1', port: redis.port, tls: false }, name: 'test:link' });
  let end: (error: unknown) => void = () => undefined;
  const ended = new Promise<unknown>((resolve) => (end = resolve));
  const link = await new Promise<RedisLink>((next, error) => {
    link$.subscribe({
      next,
      error: (reason: unknown) => {
        error(reason instanceof Error ? reason : new Error(String(reason)));
        end(reason);
      },
    });
  });
  return { link, ended };
}

function ask(link: RedisLink, command: string): Promise<unknown> {
  return firstValueFrom(from(link.call(command)));
}

describe('a connection to Redis that says what nobody asked ends with a LinkError, and the process goes on', () => {
  test.each<[what: string, bytes: string]>([
    ['a reply', '+OK\r\n'],
    ['a null', '_\r\n'],
    ['a null of RESP2', '$-1\r\n'],
    ['a null array', '*-1\r\n'],
    ['an empty array', '*0\r\n'],
    ['an error', '-ERR what was that\r\n'],
    ['a number, and a message behind it', `:1\r\n>3\r\n${bulk('message')}${bulk('room')}${bulk('hello')}`],
    ['two nulls', '_\r\n_\r\n'],
    ['bytes that begin nothing', '\x00\x00'],
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['an array too long for memory', '*99999999999999\r\n'],
    ['a push whose kind is null', '>1\r\n_\r\n'],
    ['a subscription without a channel', `>1\r\n${bulk('subscribe')}`],
    ['a subscription to a channel that is null', `>3\r\n${bulk('subscribe')}_\r\n:1\r\n`],
    ['a subscription that nobody asked for', `>3\r\n${bulk('subscribe')}${bulk('room')}:1\r\n`],
    ['a message without a channel', `>1\r\n${bulk('message')}`],
    ['a message without a payload', `>2\r\n${bulk('message')}${bulk('room')}`],
    ['a message whose payload is a number', `>3\r\n${bulk('message')}${bulk('room')}:1\r\n`],
    ['a message in a channel that is an array', `>3\r\n${bulk('message')}*0\r\n${bulk('hello')}`],
  ])('%s', async (_, bytes) => {
    const { link, ended } = await connected();
    await lastValueFrom(from(link.subscribe(['room'])));
    const heard = link.message$.subscribe();
    redis.say(bytes);
    expect(await ended).toBeInstanceOf(LinkError);
    heard.unsubscribe();
  });

  test('nothing that came behind it is passed on', async () => {
    const { link, ended } = await connected();
    await lastValueFrom(from(link.subscribe(['room'])));
    const heard: string[] = [];
    link.message$.subscribe(({ payload }) => heard.push(payload.toString()));
    const message = (text: string) => `>3\r\n${bulk('message')}${bulk('room')}${bulk(text)}`;
    redis.say(`${message('before')}+OK\r\n${message('behind')}`);
    await ended;
    expect(heard).toEqual(['before']);
  });

  test('a push of another kind is of no concern', async () => {
    const { link } = await connected();
    redis.say(`>2\r\n${bulk('invalidate')}*1\r\n${bulk('key')}>0\r\n`);
    expect(await ask(link, 'ROLE')).toEqual(['master', 0, []]);
  });
});

describe('the login of an address, at a real Redis', () => {
  let real: TestRedis;

  beforeEach(async () => {
    real = await startRedis(undefined, [], { password: 'secret' });
    await real.client.acl('SETUSER', 'us@er', 'on', '>s/\u00e9 ', '+@all', '&*');
    await real.client.acl('SETUSER', 'open', 'on', 'nopass', '+@all', '&*');
  });

  afterEach(() => real.stop());

  test.each([
    ['redis://:secret@', 'default'],
    ['redis://us%40er:s%2F%C3%A9%20@', 'us@er'],
    ['REDIS://open@', 'open'],
  ])('%s is that of %s', async (login, user) => {
    const address = readRedisUrl(`${login}127.0.0.1:${real.port}`);
    if (!isRedisAddress(address)) throw new Error('it was not read');
    const name = await firstValueFrom(
      redisLink$({ address, name: 'test:link' }).pipe(mergeMap((one) => from(one.call('ACL', 'WHOAMI')))),
    );
    expect(name).toBe(user);
  });
});

describe('a reply that never ends', () => {
  test('ends its connection once it is larger than any message', async () => {
    const { ended } = await connected();
    redis.say(`$${10 ** 12}\r\n`);
    const piece = 'x'.repeat(2 ** 20);
    for (let nth = 0; nth < 80; nth++) redis.say(piece);
    expect(await ended).toMatchObject({ message: expect.stringContaining('larger than') as unknown });
  });
});

describe('an answer of another shape than the command has ends the connection', () => {
  test.each([
    ['an array', '*0\r\n'],
    ['a null', '_\r\n'],
    ['a text', '+OK\r\n'],
  ])('PUBLISH answered with %s is not confirmed', async (_, bytes) => {
    const { link, ended } = await connected();
    redis.answer = ([name]) => (name === 'publish' ? bytes : undefined);
    const error = await new Promise((settled) => {
      link.publish('room', 'hello', settled);
    });
    expect(error).toBeInstanceOf(LinkError);
    expect(await ended).toBeInstanceOf(LinkError);
  });

  test.each([
    ['a text', '+OK\r\n'],
    ['a null', '_\r\n'],
    ['a number', ':1\r\n'],
    ['an array', '*0\r\n'],
  ])('SUBSCRIBE answered with %s', async (_, bytes) => {
    const { link, ended } = await connected();
    redis.answer = ([name]) => (name === 'subscribe' ? bytes : undefined);
    // ioredis does not settle a command whose answer it could not read.
    const confirmed = lastValueFrom(from(link.subscribe(['room'])));
    expect(await Promise.race([confirmed.catch((error: unknown) => error), ended])).toBeInstanceOf(LinkError);
    expect(await ended).toBeInstanceOf(LinkError);
  });
});
