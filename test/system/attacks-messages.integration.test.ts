import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connect, type Heard } from '../support/client.js';
import { clientFrame, closeCodeIn, messagesIn, rawUpgrade } from '../support/raw.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { startService, type Service } from '../support/service.js';

/** Beside what bad-input.integration.test.ts says of frames and messages, of which nothing is repeated here. */

const MEGABYTE = 1024 * 1024;

describe('frames', () => {
  let service: Service;

  beforeAll(async () => {
    service = await startService({ PING_INTERVAL_MS: '200', PONG_TIMEOUT_MS: '600' });
  });

  afterAll(async () => {
    await service.stop('SIGKILL');
  });

  test('a million empty fragments: 1008, and memory stays flat', async () => {
    const raw = await rawUpgrade(service.port, '/ws/tea');
    const before = await service.metric('process_resident_memory_bytes');
    const fragments = Buffer.concat(Array.from({ length: 10_000 }, () => clientFrame(0x00, '')));
    raw.write(clientFrame(0x01, ''));
    for (let n = 0; n < 100 && !raw.socket.destroyed; n++) {
      if (!raw.socket.write(fragments)) await Promise.race([once(raw.socket, 'drain'), raw.closed]);
    }
    await raw.closed;
    // The close itself may be lost: what the client sent behind it resets the connection.
    await service.metricIs('chat_closes_total{code="1008"}', 1);
    expect((await service.metric('process_resident_memory_bytes')) - before).toBeLessThan(64 * MEGABYTE);
    await service.metricIs('chat_connections', 0);
  });

  test('a frame that is fed byte by byte is no sign of life: 4001', async () => {
    const raw = await rawUpgrade(service.port, '/ws/tea');
    raw.write(clientFrame(0x81, 'x'.repeat(60_000)).subarray(0, 100));
    const drip = setInterval(() => raw.socket.write('x'), 20);
    await raw.receives((received) => closeCodeIn(received) !== undefined);
    clearInterval(drip);
    expect(closeCodeIn(raw.received)).toBe(4001);
  });

  test('100 connections that promise 64 KiB each and send none of it hold next to nothing, and are let go', async () => {
    const before = await service.metric('process_resident_memory_bytes');
    const raws = await Promise.all(Array.from({ length: 100 }, () => rawUpgrade(service.port)));
    const promise = Buffer.alloc(14);
    promise.set([0x81, 0xff]);
    promise.writeBigUInt64BE(65_536n, 2);
    for (const raw of raws) raw.write(promise);
    await Promise.all(raws.map(({ closed }) => closed));
    expect(new Set(raws.map(({ received }) => closeCodeIn(received)))).toEqual(new Set([4001]));
    expect((await service.metric('process_resident_memory_bytes')) - before).toBeLessThan(64 * MEGABYTE);
  });

  test.each([
    ['16 bits', Buffer.from([0x81, 0xfe, 0, 15, 0, 0, 0, 0])],
    ['64 bits', Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0, 0, 0])],
  ])('a length written in %s that 7 would hold is still that length', async (_, header) => {
    const raw = await rawUpgrade(service.port);
    raw.write(Buffer.concat([header, Buffer.from('{"type":"ping"}')]));
    await raw.receives((received) => messagesIn(received).some(({ type }) => type === 'pong'));
    raw.socket.destroy();
  });
});

describe('JSON', () => {
  let service: Service;

  beforeAll(async () => {
    service = await startService();
  });

  afterAll(async () => {
    await service.stop('SIGKILL');
  });

  /** What everybody hears of it, or the code of its error. */
  async function outcome(text: string): Promise<Heard> {
    const client = await connect(service.port, '/ws/json');
    client.send(text);
    const heard = await client.hears(({ type }) => type === 'chat' || type === 'error' || type === 'pong');
    await client.close();
    return heard;
  }

  test.each([
    ['the type, the last being the server’s', '{"type":"chat","data":{"content":"x"},"type":"system"}', 'forbidden_type'],
    [
      'the room, the last being none of its own',
      '{"type":"chat","room":"json","data":{"content":"x"},"room":"a"}',
      'not_in_room',
    ],
    ['data, the last being none', '{"type":"chat","data":{"content":"x"},"data":{}}', 'invalid_message'],
  ])('duplicate keys: the last one counts, for every check and for what is published (%s)', async (_, text, code) => {
    expect((await outcome(text)).data['code']).toBe(code);
  });

  test('duplicate keys are not passed on', async () => {
    const heard = await outcome(
      '{"type":"system","from":"server","type":"chat","data":{"content":"a","content":"b","x":1,"x":2}}',
    );
    expect(heard.data).toEqual({ content: 'b', x: 2 });
    expect(heard.from).not.toBe('server');
  });

  test.each(['1e400', '-1e400', `1${'0'.repeat(400)}`, '1e99999999999999999999'])(
    '%p overflows: invalid_message',
    async (number) => {
      expect((await outcome(`{"type":"chat","data":{"content":"x","n":[{"m":${number}}]}}`)).data['code']).toBe(
        'invalid_message',
      );
    },
  );

  test.each([
    ['1e-400', 0],
    ['-0', 0],
    ['9007199254740993', 9007199254740992],
  ])('%s comes out as %p', async (number, value) => {
    expect((await outcome(`{"type":"chat","data":{"content":"x","n":${number}}}`)).data['n']).toBe(value);
  });

  test.each([
    ['a type that is escaped', '{"\\u0074ype":"c\\u0068at","data":{"content":"x"}}', 'chat'],
    ['a member that JSON would ask', '{"type":"chat","data":{"content":"x","toJSON":"y","then":"z","valueOf":null}}', 'chat'],
    ['keys that are prototypes', '{"type":"chat","data":{"content":"x","\\u005f_proto__":{"y":1},"hasOwnProperty":1}}', 'chat'],
    ['a type with NUL', '{"type":"chat\\u0000","data":{"content":"x"}}', 'error'],
    ['a type that looks alike', '{"type":"сhat","data":{"content":"x"}}', 'error'],
    ['64 KiB of keys', `{"type":"ping","data":{${Array.from({ length: 6000 }, (_, n) => `"${n}":1`).join(',')}}}`, 'pong'],
    ['64 KiB of nested arrays and objects', '[{"a":'.repeat(10_000), 'error'],
    ['64 KiB of nesting that is closed again', `{"type":"ping","data":${'['.repeat(32_000)}${']'.repeat(32_000)}}`, 'error'],
  ])('%s', async (_, text, type) => {
    expect((await outcome(text)).type).toBe(type);
  });
});

describe('rooms that look like something to Redis', () => {
  const ROOMS = [
    ...[
      '*',
      '?',
      '[a-z]*',
      '\\*',
      'h?llo',
      'PUBLISH chat-api:global x',
      '$5',
      '*3',
      '{tag}',
      '"quoted"',
      "it's",
      'a b',
      'room:tea',
    ],
    ...[
      'global',
      ':',
      'chat-api:global',
      '__keyspace@0__:*',
      'FLUSHALL',
      '-1',
      '0',
      'été 🍵',
      '%0d%0a',
      '${x}',
      '<script>',
      '\\r\\n',
    ],
  ];
  let redis: TestRedis;
  let pods: Service[];

  beforeAll(async () => {
    redis = await startRedis();
    pods = await Promise.all([1, 2].map(() => startService({ REDIS_URL: redis.url })));
    await Promise.all(pods.map((pod) => pod.logged('ready')));
  });

  afterAll(async () => {
    await Promise.all(pods.map((pod) => pod.stop('SIGKILL')));
    await redis.stop();
  });

  test('are rooms of that name and nothing else: each hears its own, on both pods, and no other does', async () => {
    await redis.client.set('canary', 'alive');
    const clients = await Promise.all(
      pods.flatMap(({ port }) => ROOMS.map((room) => connect(port, `/ws/${encodeURIComponent(room)}`))),
    );
    const [senders, others] = [clients.slice(0, ROOMS.length), clients.slice(ROOMS.length)];
    for (const [n, sender] of senders.entries()) sender.chat(ROOMS[n] ?? '');
    await Promise.all(clients.map((client, n) => client.hearsChat(ROOMS[n % ROOMS.length] ?? '')));
    for (const client of others) client.chat('last', { room: '' });
    await Promise.all(clients.map((client) => client.hearsMany(others.length, ({ data }) => data['content'] === 'last')));
    for (const [n, client] of clients.entries()) {
      const said = client.heard.filter(({ type, room }) => type === 'chat' && room !== undefined);
      expect(said.map(({ room, data }) => [room, data['content']])).toEqual([[ROOMS[n % ROOMS.length], ROOMS[n % ROOMS.length]]]);
    }
    // Those that pods have for themselves are no clients' doing.
    const channels = ((await redis.client.pubsub('CHANNELS')) as string[]).filter(
      (name) => !/^chat-api:(canary:|misplaced$)/.test(name),
    );
    expect(channels.sort()).toEqual(['chat-api:global', ...ROOMS.map((room) => `chat-api:room:${room}`)].sort());
    expect([await redis.client.pubsub('NUMPAT'), await redis.client.get('canary')]).toEqual([0, 'alive']);
    await Promise.all(clients.map((client) => client.close()));
  });
});
