import { expect, test } from '@jest/globals';
import { parseMessage } from '../../src/dispatch/parse.js';
import { usableRef } from '../../src/handlers/rejection.js';

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
  expect(parseMessage(text)).toStrictEqual({ kind: 'parsed', message: { ...NO_MEMBERS, ...message } });
});

test.each([
  ['from', '{"type":"chat","from":"root"}'],
  ['timestamp', '{"type":"chat","timestamp":"1970-01-01T00:00:00.000Z"}'],
  ['an unknown member, even null', '{"type":"chat","extra":null}'],
  ['__proto__', '{"type":"chat","__proto__":{"room":"tea","id":"x","data":{}}}'],
  ['constructor', '{"type":"chat","constructor":{"prototype":{"room":"tea"}}}'],
])('ignores %s', (_, text) => {
  expect(parseMessage(text)).toStrictEqual({ kind: 'parsed', message: { ...NO_MEMBERS, type: 'chat' } });
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
  expect(parseMessage(text)).toMatchObject({ kind: 'parsed' });
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

test.each([
  ['128 bytes of ASCII', 'x'.repeat(128), true],
  ['129 bytes of ASCII', 'x'.repeat(129), false],
  ['64 letters of two bytes', 'é'.repeat(64), true],
  ['64 letters of two bytes and one of one', `${'é'.repeat(64)}x`, false],
  ['32 emoji of four bytes', '😀'.repeat(32), true],
  ['33 emoji of four bytes', '😀'.repeat(33), false],
  ['an empty string', '', true],
  ['a number', 7, false],
  ['null', null, false],
  ['nothing', undefined, false],
])('as for an error’s ref, %s: %p is %p', (_, id, usable) => {
  expect(usableRef(id)).toBe(usable ? id : undefined);
});

test.each(['1e400', '-1e400'])('refuses a number that no double holds, for it would be written again as null: %s', (number) => {
  expect(parseMessage(`{"type":"chat","data":{"content":"hi","n":[${number}]},"id":"7"}`)).toMatchObject({
    kind: 'rejection',
    code: 'invalid_message',
    ref: '7',
  });
});
