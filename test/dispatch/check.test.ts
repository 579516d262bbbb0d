import { describe, expect, test } from '@jest/globals';
import { NEVER, concat, of } from 'rxjs';
import Type from 'typebox';
import { connection } from '../../src/connection/connection.js';
import type { Outbound } from '../../src/connection/transport.js';
import { checkMessage, destination, parseMessage, type CheckOptions } from '../../src/dispatch/check.js';
import { builtInHandlers } from '../../src/handlers/built-in/index.js';
import { handler } from '../../src/handlers/handler.js';
import { ENVELOPE_BYTES, GLOBAL_ROOM, byteLength, timestamp, writeEnvelope } from '../../src/protocol/protocol.js';
import { READY } from '../support/consumer.js';
import { marbles } from '../support/marbles.js';
import { inRooms, readable, virtualPod } from '../support/pod.js';

const MAX_BYTES = 65_536;
const UUID = '018f0000-0000-7000-8000-000000000000';

const weather = handler('weather', Type.Object({ celsius: Type.Number() }), () => NEVER);

const options: CheckOptions = {
  handlers: new Map([...builtInHandlers, weather].map((each) => [each.type, each])),
  maxMessageBytes: MAX_BYTES,
  identity: 'ada',
  rooms: ['tea'],
};

test.each([
  ['a chat', '{"type":"chat","data":{"content":"hi"}}'],
  ['an empty chat', '{"type":"chat","data":{"content":""}}'],
  ['a chat with more in its data', '{"type":"chat","data":{"content":"hi","mood":{"n":[1]},"x":null}}'],
  ['a ping', '{"type":"ping"}'],
  ['a ping with data', '{"type":"ping","data":[1],"id":"7"}'],
  ['a pong', '{"type":"pong"}'],
  ['a type that somebody installed', '{"type":"weather","data":{"celsius":7}}'],
])('accepts %s as it is', (_, text) => {
  const sent = JSON.parse(text) as { type: string };
  const message = { room: undefined, data: undefined, id: undefined, ...sent };
  expect(checkMessage(text, options)).toStrictEqual(message);
});

test.each([
  ['no JSON', 'invalid_json', 'hello'],
  ['no object', 'invalid_message', '[]'],
  ['a room of null', 'invalid_message', '{"type":"chat","room":null,"data":{"content":"hi"}}'],
  ['a chat without data', 'invalid_message', '{"type":"chat"}'],
  ['a chat whose data is a string', 'invalid_message', '{"type":"chat","data":"hi"}'],
  ['a chat whose data is a list', 'invalid_message', '{"type":"chat","data":["content"]}'],
  ['a chat without content', 'invalid_message', '{"type":"chat","data":{}}'],
  ['a chat whose content is a number', 'invalid_message', '{"type":"chat","data":{"content":5}}'],
  ['a chat whose content is null', 'invalid_message', '{"type":"chat","data":{"content":null}}'],
  ['a chat whose content is inherited', 'invalid_message', '{"type":"chat","data":{"__proto__":{"content":"hi"}}}'],
  ['data that an installed handler does not take', 'invalid_message', '{"type":"weather","data":{"celsius":"7"}}'],
  ['presence', 'forbidden_type', '{"type":"presence","data":{}}'],
  ['notification', 'forbidden_type', '{"type":"notification","data":{}}'],
  ['system', 'forbidden_type', '{"type":"system","data":{}}'],
  ['error', 'forbidden_type', '{"type":"error","data":{}}'],
  ['a type that nobody installed', 'unknown_type', '{"type":"dance","data":{}}'],
  ['a type in capitals', 'unknown_type', '{"type":"CHAT","data":{"content":"hi"}}'],
  ['an empty type', 'unknown_type', '{"type":""}'],
  ['a type called like a property of objects', 'unknown_type', '{"type":"__proto__"}'],
  ['a type called like a method of maps', 'unknown_type', '{"type":"get"}'],
])('refuses %s: %s', (_, code, text) => {
  expect(checkMessage(text, options)).toStrictEqual({ kind: 'rejection', code, reason: expect.any(String), ref: undefined });
});

test.each([
  ['invalid_message', '{"type":"chat","data":5,"id":"ID"}'],
  ['forbidden_type', '{"type":"system","id":"ID"}'],
  ['unknown_type', '{"type":"dance","id":"ID"}'],
])('%s refers to an id of at most 128 bytes and to no longer one', (code, text) => {
  const withId = (id: string) => checkMessage(text.replace('ID', id), options);
  expect(withId('é'.repeat(64))).toMatchObject({ code, ref: 'é'.repeat(64) });
  expect(withId('é'.repeat(65))).toMatchObject({ code, ref: undefined });
});

describe('what grows when it is written out', () => {
  /** Numbers that take 4 bytes as sent and 21 as written. */
  const growing = (count: number) => Array.from({ length: count }, () => '1e20').join();

  const chat = (numbers: string, content: string) =>
    `{"type":"chat","room":"tea","data":{"numbers":[${numbers}],"content":"${content}"}}`;

  const written = (text: string) => {
    const { type, room, data } = JSON.parse(text) as { type: string; room: string; data: object };
    return byteLength(writeEnvelope({ id: UUID, type, room, from: options.identity, data, timestamp: timestamp(0) }));
  };

  /** A chat that takes exactly so many bytes once it is an envelope. */
  const growsTo = (bytes: number) => {
    const numbers = growing(1500);
    return chat(numbers, 'x'.repeat(bytes - written(chat(numbers, ''))));
  };

  test('may take as much as the largest message and its envelope', () => {
    const text = growsTo(MAX_BYTES + ENVELOPE_BYTES);
    expect(byteLength(text)).toBeLessThanOrEqual(MAX_BYTES);
    expect(checkMessage(text, options)).toMatchObject({ type: 'chat' });
  });

  test('may not take a byte more', () => {
    const text = growsTo(MAX_BYTES + ENVELOPE_BYTES + 1);
    expect(byteLength(text)).toBeLessThanOrEqual(MAX_BYTES);
    expect(checkMessage(text, options)).toMatchObject({ kind: 'rejection', code: 'invalid_message' });
  });

  test('counts as bytes, not as letters', () => {
    const text = `{"type":"chat","room":"tea","data":{"content":"${'日'.repeat(10_000)}","numbers":[${growing(2000)}]}}`;
    const bytes = written(text);
    const allowing = (maxMessageBytes: number) => checkMessage(text, { ...options, maxMessageBytes });
    expect(allowing(bytes - ENVELOPE_BYTES)).toMatchObject({ type: 'chat' });
    expect(allowing(bytes - ENVELOPE_BYTES - 1)).toMatchObject({ code: 'invalid_message' });
  });

  test('counts the sender’s identity, which stands in the envelope', () => {
    const text = growsTo(MAX_BYTES + ENVELOPE_BYTES);
    expect(checkMessage(text, { ...options, identity: `${options.identity}n` })).toMatchObject({ code: 'invalid_message' });
  });

  test('is found where a small text grows the most that it can', () => {
    const text = `{"type":"chat","room":"tea","data":{"content":"","numbers":[${growing(3000)}]}}`;
    expect(byteLength(text)).toBeLessThan(16_000);
    expect(checkMessage(text, { ...options, maxMessageBytes: 16_000 })).toMatchObject({ code: 'invalid_message' });
  });

  test.each([
    ['that names its room', true],
    ['that leaves its room to be filled in', false],
  ])('is never lost in silence: a chat %s is refused or heard', (_, namesRoom) => {
    const room = 'r'.repeat(128);
    const place = namesRoom ? { room } : {};
    const sizes = [-200, -100, -50, -20, 0, 20, 50, 100, 200];
    const outcomes = sizes.map((off) => {
      const text = growsTo(MAX_BYTES + ENVELOPE_BYTES - 128 + off).replace('"room":"tea",', namesRoom ? `"room":"${room}",` : '');
      const heard: unknown[] = [];
      marbles(({ flush }, scheduler) => {
        const said: { kind: 'text'; text: string } = { kind: 'text', text };
        const keep = (outbound: Outbound) => {
          if (outbound.kind === 'batch') heard.push(...(readable(outbound) as { type: string }[]).map(({ type }) => type));
        };
        const pod = virtualPod(scheduler);
        const ended = connection(concat(of(said), NEVER), READY, inRooms(pod, options.identity, [room])).subscribe(keep);
        scheduler.schedule(() => {
          ended.unsubscribe();
        }, 10);
        scheduler.maxFrames = 20;
        flush();
      });
      return { off, ...place, heard: heard.filter((type) => type === 'chat' || type === 'error').length };
    });
    expect(outcomes).toEqual(sizes.map((off) => ({ off, ...place, heard: 1 })));
  });
});

describe('parseMessage', () => {
  /** `{"type":"chat","data":…}` with this many levels of nesting in all, the message itself being the first. */
  function nested(levels: number, open = '{"a":', close = '}', innermost = '{}'): string {
    const wraps = levels - 2;
    return `{"type":"chat","data":${open.repeat(wraps)}${innermost}${close.repeat(wraps)}}`;
  }

  /** What a message that leaves them out has in their places. */
  const NO_MEMBERS = { room: undefined, data: undefined, id: undefined };

  test.each([
    ['a type alone', '{"type":"ping"}', { type: 'ping' }],
    [
      'every member',
      '{"type":"chat","room":"tea","data":{"content":"hi"},"id":"7"}',
      { type: 'chat', room: 'tea', data: { content: 'hi' }, id: '7' },
    ],
    ['an empty room', '{"type":"chat","room":""}', { type: 'chat', room: '' }],
    ['an empty id', '{"type":"chat","id":""}', { type: 'chat', id: '' }],
    ['data that is no object', '{"type":"ping","data":5}', { type: 'ping', data: 5 }],
    ['data that is false', '{"type":"ping","data":false}', { type: 'ping', data: false }],
    ['a null within the data', '{"type":"chat","data":{"content":null}}', { type: 'chat', data: { content: null } }],
    ['white space around it', ' \n{"type":"ping"}\t', { type: 'ping' }],
  ])('understands a message with %s', (_, text, message) => {
    expect(parseMessage(text)).toStrictEqual({ ...NO_MEMBERS, ...message });
  });

  test.each([
    ['from', '{"type":"chat","from":"root"}'],
    ['timestamp', '{"type":"chat","timestamp":"1970-01-01T00:00:00.000Z"}'],
    ['an unknown member, even null', '{"type":"chat","extra":null}'],
    ['__proto__', '{"type":"chat","__proto__":{"room":"tea","id":"x","data":{}}}'],
    ['constructor', '{"type":"chat","constructor":{"prototype":{"room":"tea"}}}'],
  ])('ignores %s', (_, text) => {
    expect(parseMessage(text)).toStrictEqual({ ...NO_MEMBERS, type: 'chat' });
  });

  test('takes no member from __proto__', () => {
    expect(parseMessage('{"__proto__":{"type":"chat"}}')).toMatchObject({ code: 'invalid_message' });
  });

  test('a __proto__ within the data changes no prototype and stays what it is', () => {
    const parsed = parseMessage('{"type":"chat","data":{"content":"hi","__proto__":{"polluted":true}}}');
    expect('polluted' in {}).toBe(false);
    expect(JSON.stringify(parsed)).toContain('"data":{"content":"hi","__proto__":{"polluted":true}}');
  });

  test.each([
    ['nothing', ''],
    ['words', 'hello'],
    ['an unfinished object', '{"type":"chat"'],
    ['two messages', '{"type":"ping"}{"type":"ping"}'],
    ['two messages on two lines', '{"type":"ping"}\n{"type":"ping"}'],
    ['a comment', '{"type":"ping"} // hi'],
    ['single quotes', "{'type':'ping'}"],
    ['a byte order mark', '\uFEFF{"type":"ping"}'],
  ])('finds no JSON in %s', (_, text) => {
    expect(parseMessage(text)).toStrictEqual({
      kind: 'rejection',
      code: 'invalid_json',
      reason: expect.any(String),
      ref: undefined,
    });
  });

  test.each([
    ['null', 'null'],
    ['a string', '"chat"'],
    ['a number', '1'],
    ['an array', '[{"type":"chat"}]'],
    ['an object without type', '{"room":"tea","data":{}}'],
    ['a type of null', '{"type":null}'],
    ['a type that is a number', '{"type":1}'],
    ['a type that is an object', '{"type":{}}'],
    ['a room of null', '{"type":"chat","room":null}'],
    ['a room that is a number', '{"type":"chat","room":1}'],
    ['a room that is a list', '{"type":"chat","room":["tea"]}'],
    ['data of null', '{"type":"chat","data":null}'],
    ['an id of null', '{"type":"chat","id":null}'],
    ['an id that is a number', '{"type":"chat","id":1}'],
  ])('takes %s for no message', (_, text) => {
    expect(parseMessage(text)).toMatchObject({ kind: 'rejection', code: 'invalid_message', ref: undefined });
  });

  test.each([
    ['no type', '{"id":"7"}'],
    ['a room of null', '{"type":"chat","id":"7","room":null}'],
    ['data of null', '{"type":"chat","id":"7","data":null}'],
    ['too deep a nesting', nested(65).replace('{"type"', '{"id":"7","type"')],
  ])('refers to the id of a message with %s', (_, text) => {
    expect(parseMessage(text)).toMatchObject({ code: 'invalid_message', ref: '7' });
  });

  test.each([
    ['objects', nested(64)],
    ['arrays', nested(64, '[', ']', '[]')],
  ])('takes 64 levels of %s', (_, text) => {
    expect(parseMessage(text)).toMatchObject({ type: 'chat' });
  });

  test.each([
    ['65 levels of objects', nested(65)],
    ['65 levels of arrays', nested(65, '[', ']', '[]')],
    ['65 levels, the last of them empty', nested(65, '[', ']', '{}')],
    ['65 levels in a member that is ignored', nested(65).replace('"data"', '"extra"')],
    ['30,000 levels', nested(30_000, '[', ']', '[]')],
  ])('refuses %s', (_, text) => {
    expect(parseMessage(text)).toMatchObject({ kind: 'rejection', code: 'invalid_message' });
  });

  test.each(['1e400', '-1e400'])(
    'rejects %s, a number that no double holds, since it would be written again as null',
    (number) => {
      expect(parseMessage(`{"type":"chat","data":{"content":"hi","n":[${number}]},"id":"7"}`)).toMatchObject({
        kind: 'rejection',
        code: 'invalid_message',
        ref: '7',
      });
    },
  );
});

describe('destination', () => {
  test.each<[who: string, named: string | undefined, rooms: readonly string[], goesTo: string]>([
    ['a connection in no room that names none speaks to everybody', undefined, [], GLOBAL_ROOM],
    ['a connection in no room that names the empty room speaks to everybody', '', [], GLOBAL_ROOM],
    ['a connection in one room that names the empty room speaks to everybody', '', ['tea'], GLOBAL_ROOM],
    ['a connection in several rooms that names the empty room speaks to everybody', '', ['tea', 'milk'], GLOBAL_ROOM],
    ['a connection in one room that names none speaks there', undefined, ['tea'], 'tea'],
    ['a connection in one room that names it speaks there', 'tea', ['tea'], 'tea'],
    ['a connection in several rooms that names one speaks there', 'milk', ['tea', 'milk'], 'milk'],
  ])('%s', (_, named, rooms, goesTo) => {
    expect(destination(named, rooms)).toBe(goesTo);
  });

  test.each<[who: string, named: string | undefined, rooms: readonly string[], code: string]>([
    ['a connection in two rooms that names none', undefined, ['tea', 'milk'], 'room_required'],
    ['a connection in three rooms that names none', undefined, ['tea', 'milk', 'rum'], 'room_required'],
    ['a connection in no room that names one', 'tea', [], 'not_in_room'],
    ['a connection in another room than it names', 'milk', ['tea'], 'not_in_room'],
    ['a connection in several rooms that names yet another', 'rum', ['tea', 'milk'], 'not_in_room'],
    ['a connection that names its room in another case', 'Tea', ['tea'], 'not_in_room'],
    ['a connection that names what no room can be called', '../tea', ['tea'], 'not_in_room'],
  ])('%s speaks nowhere', (_, named, rooms, code) => {
    expect(destination(named, rooms)).toMatchObject({ kind: 'rejection', code });
  });
});
