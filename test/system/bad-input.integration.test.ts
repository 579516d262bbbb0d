import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client, connect, type Heard } from '../support/client.js';
import {
  clientFrame,
  closeCodeIn,
  framesIn,
  messagesIn,
  rawConnect,
  rawUpgrade,
  upgradeRequest,
  type Raw,
} from '../support/raw.js';
import { startService, type Service } from '../support/service.js';

const MAX_BYTES = 65_536;
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const TEXT = 0x81;
const FIRST_FRAGMENT = 0x01;
const FRAGMENT = 0x00;
const LAST_FRAGMENT = 0x80;
const PING = 0x89;

let service: Service;
let rooms = 0;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service.stop('SIGKILL');
});

/** A room of a test's own, with somebody in it who minds his own business. */
async function bystanding(): Promise<{ room: string; bystander: Client }> {
  const room = `room-${++rooms}`;
  return { room, bystander: await connect(service.port, `/ws/${room}`) };
}

/** The bystander still hears and is heard, and heard nothing but chats and who came and went. */
async function expectUndisturbed(room: string, bystander: Client): Promise<void> {
  const visitor = await connect(service.port, `/ws/${room}`);
  visitor.chat('do you hear me?');
  await bystander.hearsChat('do you hear me?');
  bystander.chat('loud and clear');
  await visitor.hearsChat('loud and clear');
  expect(bystander.heard.filter(({ type }) => !['system', 'presence', 'chat'].includes(type))).toEqual([]);
  expect(bystander.heard.filter(({ type }) => type === 'system')).toHaveLength(1);
  await Promise.all([visitor.close(), bystander.close()]);
}

function errors(heard: readonly Heard[]): Heard[] {
  return heard.filter(({ type }) => type === 'error');
}

/** Says it, and reads what comes back until the server has answered what was said after it. */
async function answersTo(client: Client, message: object | string): Promise<Heard[]> {
  const before = client.heard.length;
  const id = `after-${before}-${rooms}`;
  client.send(message);
  client.send({ type: 'ping', id });
  await client.hears((heard) => heard.type === 'pong' && heard.id === id);
  return client.heard.slice(before).filter((heard) => heard.id !== id && heard.type !== 'presence');
}

describe('a bad message gets its error, and nobody else notices', () => {
  const chatWith = (data: unknown) => JSON.stringify({ type: 'chat', data });
  const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
  test.each([
    ['an empty text', '', 'invalid_json'],
    ['half an object', '{"type":"chat"', 'invalid_json'],
    ['two objects', '{"type":"pong"}{"type":"pong"}', 'invalid_json'],
    ['a byte order mark', '\ufeff{"type":"pong"}', 'invalid_json'],
    ['NaN', '{"type":"ping","data":NaN}', 'invalid_json'],
    ['an array', '[{"type":"chat"}]', 'invalid_message'],
    ['a string', '"chat"', 'invalid_message'],
    ['a number', '1', 'invalid_message'],
    ['true', 'true', 'invalid_message'],
    ['null', 'null', 'invalid_message'],
    ['no type', '{"data":{"content":"x"}}', 'invalid_message'],
    ['a numeric type', '{"type":1}', 'invalid_message'],
    ['an array as a type', '{"type":["chat"],"data":{"content":"x"}}', 'invalid_message'],
    ['type null', '{"type":null}', 'invalid_message'],
    ['room null', '{"type":"chat","room":null,"data":{"content":"x"}}', 'invalid_message'],
    ['data null', '{"type":"ping","data":null}', 'invalid_message'],
    ['id null', '{"type":"ping","id":null}', 'invalid_message'],
    ['a numeric room', '{"type":"chat","room":1,"data":{"content":"x"}}', 'invalid_message'],
    ['a numeric id', '{"type":"ping","id":1}', 'invalid_message'],
    ['a chat without data', '{"type":"chat"}', 'invalid_message'],
    ['a chat whose data is a string', chatWith('x'), 'invalid_message'],
    ['a chat whose data is an array', chatWith(['x']), 'invalid_message'],
    ['a chat without content', chatWith({ text: 'x' }), 'invalid_message'],
    ['a chat whose content is a number', chatWith({ content: 1 }), 'invalid_message'],
    ['a chat whose content is null', chatWith({ content: null }), 'invalid_message'],
    ['a chat whose content is an object', chatWith({ content: { toString: 'x' } }), 'invalid_message'],
    ['members in __proto__', '{"__proto__":{"type":"chat","data":{"content":"x"}}}', 'invalid_message'],
    ['content in __proto__', '{"type":"chat","data":{"__proto__":{"content":"x"}}}', 'invalid_message'],
    ['the type __proto__', '{"type":"__proto__"}', 'unknown_type'],
    ['the type constructor', '{"type":"constructor"}', 'unknown_type'],
    ['the type toString', '{"type":"toString"}', 'unknown_type'],
    ['an empty type', '{"type":""}', 'unknown_type'],
    ['an unknown type', '{"type":"shout","data":{"content":"x"}}', 'unknown_type'],
    ['a type in capitals', '{"type":"CHAT","data":{"content":"x"}}', 'unknown_type'],
    ['presence', '{"type":"presence","data":{"status":"online","clientId":"x"}}', 'forbidden_type'],
    ['notification', '{"type":"notification","data":{}}', 'forbidden_type'],
    ['system', '{"type":"system","data":{"event":"shutdown"}}', 'forbidden_type'],
    ['error', '{"type":"error","data":{}}', 'forbidden_type'],
    ['nesting of 65', `{"type":"ping","data":${nested(64)}}`, 'invalid_message'],
    ['nesting of 10,000', `{"type":"ping","data":${nested(10_000)}}`, 'invalid_message'],
    ['nesting of 10,000 in a chat', `{"type":"chat","data":{"content":"x","more":${nested(10_000)}}}`, 'invalid_message'],
    ['deep nesting that never ends', '['.repeat(MAX_BYTES), 'invalid_json'],
    [
      'numbers that grow over the bound when written out',
      `{"type":"chat","data":{"content":"x","more":[${'1e20,'.repeat(13_000)}0]}}`,
      'invalid_message',
    ],
    ['a ping that grows over the bound', `{"type":"ping","data":[${'1e20,'.repeat(13_000)}0]}`, 'invalid_message'],
  ])('%s', async (_, text, code) => {
    const { room, bystander } = await bystanding();
    const offender = await connect(service.port, `/ws/${room}`);
    const answers = await answersTo(offender, text);
    expect(answers).toHaveLength(1);
    expect(answers[0]).toEqual({
      id: expect.stringMatching(UUID_V7),
      type: 'error',
      from: 'server',
      data: { code, message: expect.stringMatching(/./) },
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    });
    offender.chat('sorry');
    await Promise.all([offender.hearsChat('sorry'), bystander.hearsChat('sorry')]);
    await offender.close();
    await expectUndisturbed(room, bystander);
    expect(bystander.chats).toEqual(['sorry', 'do you hear me?', 'loud and clear']);
  });

  test('counts by code, and by type what was received', async () => {
    const client = await connect(service.port);
    const lines = ['chat_errors_total{code="invalid_json"}', 'chat_messages_received_total{type="invalid"}'] as const;
    const before = await Promise.all(lines.map((line) => service.metric(line)));
    await answersTo(client, '{');
    expect(await Promise.all(lines.map((line) => service.metric(line)))).toEqual(before.map((value) => value + 1));
    await client.close();
  });
});

describe('the error of a message that goes nowhere', () => {
  test.each([
    ['an unknown room', '/ws/ROOM', { room: 'elsewhere' }, 'not_in_room'],
    ['an unknown room, from no room', '/ws', { room: 'elsewhere' }, 'not_in_room'],
    ['a name that no room can have', '/ws/ROOM', { room: '../ROOM' }, 'not_in_room'],
    ['the room __proto__', '/ws/ROOM', { room: '__proto__' }, 'not_in_room'],
    ["another room's channel", '/ws/ROOM', { room: 'chat-api:global' }, 'not_in_room'],
    ['no room, from two', '/ws/ROOM?room=other', {}, 'room_required'],
  ])('names %s', async (_, path, more, code) => {
    const { room, bystander } = await bystanding();
    const offender = await connect(service.port, path.replace('ROOM', room));
    const answers = await answersTo(offender, { type: 'chat', id: 'ref-1', data: { content: 'lost' }, ...more });
    expect(answers).toHaveLength(1);
    expect(answers[0]).toMatchObject({ type: 'error', data: { code, ref: 'ref-1' } });
    await offender.close();
    await expectUndisturbed(room, bystander);
    expect(bystander.chats).not.toContain('lost');
  });

  test.each([
    ['a string', 'my-id', 'my-id'],
    ['an empty string', '', ''],
    ['a UUID', '0193a0de-7f1c-7c4e-8d5b-8a3c5d6e7f80', '0193a0de-7f1c-7c4e-8d5b-8a3c5d6e7f80'],
    ['128 bytes', 'a'.repeat(128), 'a'.repeat(128)],
    ['128 bytes in 64 characters', 'é'.repeat(64), 'é'.repeat(64)],
  ])('has as ref an id that is %s', async (_, id, ref) => {
    const client = await connect(service.port);
    const [answer] = await answersTo(client, { type: 'shout', id });
    expect(answer?.data).toMatchObject({ code: 'unknown_type', ref });
    await client.close();
  });

  test.each([
    ['129 bytes', 'a'.repeat(129)],
    ['130 bytes in 65 characters', 'é'.repeat(65)],
    ['a number', 7],
    ['an object', { a: 1 }],
  ])('has no ref where the id is %s', async (_, id) => {
    const client = await connect(service.port);
    const [answer] = await answersTo(client, { type: 'shout', id });
    expect(answer?.type).toBe('error');
    expect(answer?.data).not.toHaveProperty('ref');
    await client.close();
  });
});

describe('bad messages in a row', () => {
  test('the tenth gets its error and then 4500', async () => {
    const { room, bystander } = await bystanding();
    const offender = await connect(service.port, `/ws/${room}`);
    const codes = ['{', '[]', '{"type":"shout"}', '{"type":"system"}'];
    for (let n = 0; n < 15; n++) offender.send(codes[n % codes.length] ?? '');
    offender.chat('too late');
    const { code, reason } = await offender.closed;
    expect(code).toBe(4500);
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
    expect(errors(offender.heard)).toHaveLength(10);
    expect(offender.heard.at(-1)?.type).toBe('error');
    await service.metricIs('chat_closes_total{code="4500"}', 1);
    await expectUndisturbed(room, bystander);
    expect(bystander.chats).not.toContain('too late');
  });

  test.each([
    ['chat', { type: 'chat', data: { content: 'good' } }],
    ['ping', { type: 'ping' }],
    ['pong', { type: 'pong' }],
  ])('a good %s starts the count again', async (_, good) => {
    const { room, bystander } = await bystanding();
    const offender = await connect(service.port, `/ws/${room}`);
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 9; n++) offender.send('{');
      offender.send(good);
    }
    offender.chat('still here');
    await Promise.all([bystander.hearsChat('still here'), offender.hearsChat('still here')]);
    expect(errors(offender.heard)).toHaveLength(27);
    for (let n = 0; n < 10; n++) offender.send('{');
    expect((await offender.closed).code).toBe(4500);
    await expectUndisturbed(room, bystander);
  });

  test('what goes nowhere is no bad message', async () => {
    const { room, bystander } = await bystanding();
    const client = await connect(service.port, `/ws/${room}?room=other`);
    for (let n = 0; n < 20; n++) {
      client.chat('lost');
      client.chat('lost', { room: 'elsewhere' });
    }
    client.chat('found', { room });
    await Promise.all([bystander.hearsChat('found'), client.hearsChat('found')]);
    expect(errors(client.heard)).toHaveLength(40);
    await client.close();
    await expectUndisturbed(room, bystander);
  });
});

describe('what passes', () => {
  /** Sends a message and returns it as the bystander hears it. */
  async function passed(message: object | string): Promise<{ heard: Heard; clientId: unknown; room: string }> {
    const { room, bystander } = await bystanding();
    const client = await connect(service.port, `/ws/${room}`);
    const { data } = await client.hearsEvent('welcome');
    client.send(message);
    const [heard, own] = await Promise.all([bystander.hearsType('chat'), client.hearsType('chat')]);
    expect(own).toEqual(heard);
    await client.close();
    await expectUndisturbed(room, bystander);
    return { heard, clientId: data['clientId'], room };
  }

  test('from and timestamp are the server’s, and unknown members are not passed on', async () => {
    const { heard, clientId, room } = await passed({
      type: 'chat',
      data: { content: 'it was me' },
      from: 'server',
      timestamp: '1970-01-01T00:00:00.000Z',
      clientId: 'somebody',
      admin: true,
      ['__proto__']: { polluted: true },
    });
    expect(heard).toEqual({
      id: expect.stringMatching(UUID_V7),
      type: 'chat',
      room,
      from: clientId,
      data: { content: 'it was me' },
      timestamp: expect.stringMatching(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    });
  });

  test('from null and timestamp null are ignored like any other', async () => {
    const { heard, clientId } = await passed('{"type":"chat","from":null,"timestamp":null,"x":null,"data":{"content":"x"}}');
    expect(heard.from).toBe(clientId);
  });

  test('the other members of data', async () => {
    const more = { a: [1, { b: null }], ключ: '\u0000\u2028\u{1f375}', timestamp: 'mine', from: 'me', id: 1, '': -0.5 };
    const { heard } = await passed({ type: 'chat', data: { content: 'x', ...more } });
    expect(heard.data).toEqual({ content: 'x', ...more });
  });

  test('empty content', async () => {
    expect((await passed({ type: 'chat', data: { content: '' } })).heard.data).toEqual({ content: '' });
  });

  test('half a surrogate pair that is escaped', async () => {
    const { heard } = await passed('{"type":"chat","data":{"content":"\\ud83c"}}');
    expect(heard.data).toEqual({ content: '\ud83c' });
  });

  test('__proto__ keys in data, as data, polluting nothing', async () => {
    const text =
      '{"type":"chat","data":{"content":"x","__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}}';
    const { heard } = await passed(text);
    expect(Object.keys(heard.data)).toEqual(['content', '__proto__', 'constructor']);
    expect(JSON.stringify(heard.data)).toBe(JSON.stringify((JSON.parse(text) as Heard).data));
    const next = await passed({ type: 'chat', data: { content: 'next' } });
    expect(Object.keys(next.heard)).toEqual(['id', 'type', 'room', 'from', 'data', 'timestamp']);
    expect(next.heard.data).toEqual({ content: 'next' });
  });

  test.each([
    '0193a0de-7f1c-7c4e-8d5b-8a3c5d6e7f80',
    '936da01f-9abd-4d9d-80c7-02af85c822a8',
    '936DA01F-9ABD-4D9D-80C7-02AF85C822A8',
  ])('the id %s, which is a UUID', async (id) => {
    expect((await passed({ type: 'chat', id, data: { content: 'x' } })).heard.id).toBe(id);
  });

  test.each(['', 'x', '936da01f9abd4d9d80c702af85c822a8', '{936da01f-9abd-4d9d-80c7-02af85c822a8}', 'a'.repeat(40)])(
    'a message with the id "%s", which is none, under a new one',
    async (id) => {
      expect((await passed({ type: 'chat', id, data: { content: 'x' } })).heard.id).toMatch(UUID_V7);
    },
  );

  test('nesting of 64', async () => {
    const levels = 62;
    const text = `{"type":"chat","data":{"content":"x","more":${'['.repeat(levels)}${']'.repeat(levels)}}}`;
    const { heard } = await passed(text);
    expect(JSON.stringify(heard.data['more'])).toBe('['.repeat(levels) + ']'.repeat(levels));
  });

  test.each([
    ['its own room', (room: string) => ({ room })],
    ['no room', () => ({})],
  ])('a chat that names %s goes to the room', async (_, more) => {
    const { room, bystander } = await bystanding();
    const client = await connect(service.port, `/ws/${room}`);
    client.chat('x', more(room));
    expect((await bystander.hearsChat('x')).room).toBe(room);
    await client.close();
    await expectUndisturbed(room, bystander);
  });

  test('a chat that names the empty room goes to everybody, without a room', async () => {
    const { room, bystander } = await bystanding();
    const client = await connect(service.port, '/ws/somewhere-else');
    client.chat('to all', { room: '' });
    expect(Object.keys(await bystander.hearsChat('to all'))).toEqual(['id', 'type', 'from', 'data', 'timestamp']);
    await client.close();
    await expectUndisturbed(room, bystander);
  });

  test.each([
    ['an object', { n: 1, more: [null] }],
    ['a string', 'x'],
    ['zero', 0],
    ['false', false],
    ['an array', []],
  ])('a ping with %s is answered to its sender alone, with the same id and data', async (_, data) => {
    const { room, bystander } = await bystanding();
    const client = await connect(service.port, `/ws/${room}`);
    const answers = await answersTo(client, { type: 'ping', id: 'any id', data });
    expect(answers).toHaveLength(1);
    expect(answers[0]).toMatchObject({ type: 'pong', id: 'any id', from: 'server', data });
    expect(answers[0]).not.toHaveProperty('room');
    await client.close();
    await expectUndisturbed(room, bystander);
  });

  test('a ping without id and data is answered, a pong is not', async () => {
    const client = await connect(service.port);
    expect(await answersTo(client, { type: 'ping' })).toMatchObject([{ type: 'pong', id: expect.stringMatching(UUID_V7) }]);
    expect(await answersTo(client, { type: 'pong', id: 'x', data: { any: 1 } })).toEqual([]);
    await client.close();
  });
});

/** A chat whose text has so many bytes. */
function chatOf(bytes: number, filler = 'a'): string {
  const empty = JSON.stringify({ type: 'chat', data: { content: '' } });
  const left = bytes - Buffer.byteLength(empty);
  const content = filler.repeat(Math.floor(left / Buffer.byteLength(filler))) + 'b'.repeat(left % Buffer.byteLength(filler));
  return JSON.stringify({ type: 'chat', data: { content } });
}

describe('size', () => {
  test.each([
    ['ASCII', 'a'],
    ['characters of three bytes', '茶'],
    ['characters of four bytes', '🍵'],
  ])('exactly 65,536 bytes of %s pass', async (_, filler) => {
    const { room, bystander } = await bystanding();
    const client = await connect(service.port, `/ws/${room}`);
    const text = chatOf(MAX_BYTES, filler);
    expect(Buffer.byteLength(text)).toBe(MAX_BYTES);
    client.send(text);
    const { data } = await bystander.hearsType('chat');
    expect(data).toEqual((JSON.parse(text) as Heard).data);
    await client.close();
    await expectUndisturbed(room, bystander);
  });

  test.each([
    ['ASCII', 'a'],
    ['characters of three bytes', '茶'],
  ])('65,537 bytes of %s close with 1009', async (_, filler) => {
    const { room, bystander } = await bystanding();
    const offender = await connect(service.port, `/ws/${room}`);
    const text = chatOf(MAX_BYTES + 1, filler);
    expect(Buffer.byteLength(text)).toBe(MAX_BYTES + 1);
    offender.send(text);
    expect((await offender.closed).code).toBe(1009);
    await expectUndisturbed(room, bystander);
    expect(bystander.chats).toEqual(['do you hear me?', 'loud and clear']);
  });
});

describe('frames', () => {
  const ping = (id: string) => clientFrame(TEXT, JSON.stringify({ type: 'ping', id }));
  const fragments = (first: Buffer | string, ...more: (Buffer | string)[]) =>
    Buffer.concat([clientFrame(FIRST_FRAGMENT, first), ...more.map((each) => clientFrame(FRAGMENT, each))]);
  const header = (first: number, length: bigint) => {
    const bytes = Buffer.alloc(14);
    bytes.set([first, 0xff]);
    bytes.writeBigUInt64BE(length, 2);
    return bytes;
  };
  const closeFrame = (code: number, reason: Buffer | string = '') =>
    clientFrame(0x88, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]));

  test.each([
    ['a binary frame', clientFrame(0x82, '{"type":"pong"}'), 1003],
    ['an empty binary frame', clientFrame(0x82, ''), 1003],
    ['bad UTF-8', clientFrame(TEXT, Buffer.from([0x22, 0xff, 0x22])), 1007],
    ['overlong UTF-8', clientFrame(TEXT, Buffer.from([0x22, 0xc0, 0xaf, 0x22])), 1007],
    ['a surrogate in UTF-8', clientFrame(TEXT, Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])), 1007],
    ['a text that ends within a character', clientFrame(TEXT, Buffer.from([0x22, 0xc3])), 1007],
    ['a close whose reason is bad UTF-8', closeFrame(1000, Buffer.from([0xff])), 1007],
    ['fragments without end', fragments('"', ...Array.from({ length: 1100 }, () => 'a')), 1008],
    ['empty fragments without end', fragments('', ...Array.from({ length: 1100 }, () => '')), 1008],
    ['fragments of more than 65,536 bytes together', fragments(...split('a'.repeat(MAX_BYTES + 1), 4096)), 1009],
    ['a header that promises 65,537 bytes', header(TEXT, 65_537n), 1009],
    ['a header that promises 2^62 bytes', header(TEXT, 2n ** 62n), 1009],
    ['a header that promises 2^63 bytes', header(TEXT, 2n ** 63n), 1009],
    ['a fragmented ping', clientFrame(0x09, 'x'), 1002],
    ['a ping of 126 bytes', clientFrame(PING, 'x'.repeat(126)), 1002],
    ['a pong of 126 bytes', clientFrame(0x8a, 'x'.repeat(126)), 1002],
    ['the first reserved bit', clientFrame(0xc1, 'x'), 1002],
    ['the second reserved bit', clientFrame(0xa1, 'x'), 1002],
    ['the third reserved bit', clientFrame(0x91, 'x'), 1002],
    ['a reserved bit on a ping', clientFrame(0xc9, 'x'), 1002],
    ['an unknown opcode', clientFrame(0x83, 'x'), 1002],
    ['an unknown control opcode', clientFrame(0x8b, 'x'), 1002],
    ['an unmasked frame', Buffer.from([0x81, 0x02, 0x7b, 0x7d]), 1002],
    ['an unmasked ping', Buffer.from([0x89, 0x00]), 1002],
    ['a continuation of nothing', clientFrame(LAST_FRAGMENT, 'x'), 1002],
    ['a text within a fragmented text', Buffer.concat([fragments('"'), clientFrame(TEXT, '"x"')]), 1002],
    ['a close of one byte', clientFrame(0x88, 'x'), 1002],
    ['a close with a code that nobody may send', closeFrame(1005), 1002],
    ['a close with an unknown code', closeFrame(999), 1002],
  ])('%s closes with its code, and nobody else notices', async (_, bytes, code) => {
    const { room, bystander } = await bystanding();
    const line = `chat_closes_total{code="${code}"}`;
    const before = await service.metric(line);
    const raw = await rawUpgrade(service.port, `/ws/${room}`);
    await raw.receives((received) => messagesIn(received).length > 0);
    raw.write(bytes);
    raw.write(clientFrame(TEXT, JSON.stringify({ type: 'chat', data: { content: 'too late' } })));
    await raw.receives((received) => closeCodeIn(received) !== undefined);
    expect(closeCodeIn(raw.received)).toBe(code);
    raw.socket.destroy();
    await service.metricIs(line, before + 1);
    await expectUndisturbed(room, bystander);
    expect(bystander.chats).not.toContain('too late');
  });

  test('what was said before a broken frame is still answered', async () => {
    const raw = await rawUpgrade(service.port);
    raw.write(Buffer.concat([ping('before'), clientFrame(0xc1, 'x'), ping('after')]));
    await raw.receives((received) => closeCodeIn(received) !== undefined);
    const ids = messagesIn(raw.received).map(({ id }) => id);
    expect(ids).toContain('before');
    expect(ids).not.toContain('after');
    raw.socket.destroy();
  });

  test('a message in fragments passes, with a ping between them and within a character', async () => {
    const { room, bystander } = await bystanding();
    const raw = await rawUpgrade(service.port, `/ws/${room}`);
    const [first, ...more] = split(JSON.stringify({ type: 'chat', data: { content: 'grüne Tees 🍵' } }), 1);
    const parts = more.flatMap((part, n) => [clientFrame(PING, `p${n}`), clientFrame(FRAGMENT, part)]);
    raw.write(Buffer.concat([clientFrame(FIRST_FRAGMENT, first), ...parts, clientFrame(LAST_FRAGMENT, '')]));
    await bystander.hearsChat('grüne Tees 🍵');
    await raw.receives((received) => messagesIn(received).some(({ type }) => type === 'chat'));
    const pongs = framesIn(raw.received).filter(({ first: opcode }) => opcode === 0x8a);
    expect(pongs.map(({ payload }) => payload.toString())).toEqual(more.map((_, n) => `p${n}`));
    raw.socket.destroy();
    await expectUndisturbed(room, bystander);
  });

  test('a good message passes that comes byte by byte', async () => {
    const raw = await rawUpgrade(service.port);
    raw.socket.setNoDelay();
    for (const byte of ping('slow')) {
      raw.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await raw.receives((received) => messagesIn(received).some(({ id }) => id === 'slow'));
    raw.socket.destroy();
  });

  test('a connection that breaks off in the middle of a frame is cleaned away', async () => {
    const { room, bystander } = await bystanding();
    const raw = await rawUpgrade(service.port, `/ws/${room}`);
    raw.write(clientFrame(TEXT, chatOf(MAX_BYTES)).subarray(0, 30_000));
    const joined = await bystander.hearsMany(2, ({ type }) => type === 'presence');
    raw.socket.resetAndDestroy();
    const clientId = joined[1]?.data['clientId'];
    await bystander.hears(({ data }) => data['status'] === 'offline' && data['clientId'] === clientId);
    await expectUndisturbed(room, bystander);
  });
});

function split(text: string, bytes: number): [Buffer, ...Buffer[]] {
  const all = Buffer.from(text);
  const parts = Array.from({ length: Math.ceil(all.length / bytes) }, (_, n) => all.subarray(n * bytes, (n + 1) * bytes));
  return [parts[0] ?? all, ...parts.slice(1)];
}

/** Writes to a socket no faster than it takes. */
async function pour(raw: Raw, bytes: Buffer, times: number): Promise<void> {
  for (let n = 0; n < times; n++) if (!raw.socket.write(bytes)) await once(raw.socket, 'drain');
}

describe('a client that does not read', () => {
  let small: Service;

  beforeEach(async () => {
    small = await startService({ SEND_BUFFER_MESSAGES: '16' });
  });

  afterEach(async () => {
    await small.stop('SIGKILL');
  });

  test('may send 400,000 pings as control frames: memory stays flat, and the last is answered', async () => {
    const bystander = await connect(small.port, '/ws/flood');
    const raw = await rawUpgrade(small.port, '/ws/flood');
    await raw.receives((received) => messagesIn(received).length > 0);
    raw.socket.pause();
    const before = await small.metric('process_resident_memory_bytes');
    await pour(raw, Buffer.concat(Array.from({ length: 1000 }, () => clientFrame(PING, 'x'.repeat(125)))), 400);
    raw.write(clientFrame(PING, 'the last'));
    raw.write(clientFrame(TEXT, JSON.stringify({ type: 'chat', data: { content: 'after the flood' } })));
    await bystander.hearsChat('after the flood');
    // 400,000 pongs would be 50 MB, and several times that as writes that wait.
    expect((await small.metric('process_resident_memory_bytes')) - before).toBeLessThan(64 * 1024 * 1024);
    raw.socket.resume();
    await raw.receives((received) => received.includes('the last') && received.includes('after the flood'));
    const pongs = framesIn(raw.received).filter(({ first }) => first === 0x8a);
    expect(pongs.length).toBeLessThan(400_000);
    expect(pongs.at(-1)?.payload.toString()).toBe('the last');
    raw.socket.destroy();
    await bystander.close();
  });

  test('is closed with 4000 while the others get everything', async () => {
    const [ada, ben] = await Promise.all([connect(small.port, '/ws/tea'), connect(small.port, '/ws/tea')]);
    const deaf = await rawConnect(small.port);
    deaf.write(upgradeRequest('/ws/tea'));
    await deaf.receives((received) => messagesIn(received).length > 0);
    deaf.socket.pause();
    const filler = 'x'.repeat(60_000);
    const contents = Array.from({ length: 300 }, (_, n) => `${n}`);
    for (const content of contents) {
      ada.send({ type: 'chat', data: { content, filler } });
      await Promise.all([ada.hearsChat(content), ben.hearsChat(content)]);
    }
    await small.metricIs('chat_closes_total{code="4000"}', 1);
    expect(ada.chats).toEqual(contents);
    expect(ben.chats).toEqual(contents);
    expect(await small.metric('chat_connections')).toBe(2);
    deaf.socket.destroy();
    await Promise.all([ada.close(), ben.close()]);
  });
});
