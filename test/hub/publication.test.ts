import { expect, test } from '@jest/globals';
import { ENVELOPE_BYTES, GLOBAL_ROOM, LARGEST_MESSAGE_BYTES } from '../../src/protocol/protocol.js';
import { checkPublication } from '../../src/hub/publication.js';

const MAX_BYTES = 1000;

const envelope = {
  id: '018f0000-0000-7000-8000-000000000000',
  type: 'chat',
  room: 'tea',
  from: 'ada',
  data: { content: 'hi' },
  timestamp: '2024-05-06T07:08:09.123Z',
};

function check(payload: Buffer | object | string, room = 'tea') {
  const bytes = Buffer.isBuffer(payload) ? payload : Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  return checkPublication({ kind: 'publication', room, payload: bytes }, MAX_BYTES);
}

function without(member: string): object {
  return Object.fromEntries(Object.entries(envelope).filter(([name]) => name !== member));
}

/** The envelope as JSON of exactly so many bytes. */
function ofSize(bytes: number): string {
  const empty = JSON.stringify({ ...envelope, data: { content: '' } });
  return JSON.stringify({ ...envelope, data: { content: 'x'.repeat(bytes - empty.length) } });
}

test.each([
  ['a chat', envelope],
  ['a notification', { ...envelope, type: 'notification' }],
  ['presence', { ...envelope, type: 'presence' }],
  ['a type that only some other pod knows', { ...envelope, type: 'weather' }],
  ['an id that is no UUID', { ...envelope, id: '7' }],
  ['data that is no object', { ...envelope, data: 0 }],
  ['data that is empty', { ...envelope, data: '' }],
  ['members in another order', Object.fromEntries(Object.entries(envelope).reverse())],
  ['white space between', JSON.stringify(envelope, undefined, 2)],
  ['as many bytes as are allowed', ofSize(MAX_BYTES)],
])('a valid publication may have %s', (_, payload) => {
  expect(check(payload)).toMatchObject({ ok: true, publishedAtMs: Date.UTC(2024, 4, 6, 7, 8, 9, 123) });
});

test('a global one has no room', () => {
  expect(check(without('room'), GLOBAL_ROOM)).toMatchObject({ ok: true });
});

test.each([
  ['2024-05-06T07:08:09.123Z', 123],
  ['2024-05-06T07:08:09Z', 0],
  ['2024-05-06T07:08:09.5Z', 500],
  ['2024-05-06t07:08:09z', 0],
  ['2024-05-06T09:08:09+02:00', 0],
])('the timestamp %s is read', (timestamp, milliseconds) => {
  expect(check({ ...envelope, timestamp })).toStrictEqual({
    ok: true,
    id: envelope.id,
    publishedAtMs: Date.UTC(2024, 4, 6, 7, 8, 9, milliseconds),
  });
});

test.each([
  ['2016-12-31T23:59:60Z', 0],
  ['2016-12-31T23:59:60.25Z', 250],
  ['2016-12-31T15:59:60-08:00', 0],
  ['2017-01-01T05:29:60+05:30', 0],
])('the timestamp %s of a leap second is read as that of the second after', (timestamp, milliseconds) => {
  expect(check({ ...envelope, timestamp })).toMatchObject({ ok: true, publishedAtMs: Date.UTC(2017, 0, 1) + milliseconds });
});

test.each<[what: string, payload: Buffer | object | string]>([
  ['nothing', ''],
  ['no JSON', 'hello'],
  ['two envelopes', JSON.stringify(envelope) + JSON.stringify(envelope)],
  ['a list', [envelope]],
  ['null', 'null'],
  ['a string', '"chat"'],
  ['a byte that is no UTF-8', Buffer.from(JSON.stringify({ ...envelope, data: 'café' }), 'latin1')],
  ['an encoded surrogate', Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')])],
  ['no id', without('id')],
  ['no type', without('type')],
  ['no room', without('room')],
  ['no from', without('from')],
  ['no data', without('data')],
  ['no timestamp', without('timestamp')],
  ['one member more', { ...envelope, extra: 1 }],
  ['another member in place of one', { ...without('id'), extra: 1 }],
  ['__proto__ in place of a member', JSON.stringify(without('id')).replace('{', '{"__proto__":{"id":"7"},')],
  ['__proto__ as one more', JSON.stringify(envelope).replace('{', '{"__proto__":{},')],
  ['another room than its channel', { ...envelope, room: 'milk' }],
  ['the empty room', { ...envelope, room: '' }],
  ['a room of null', { ...envelope, room: null }],
  ['an id that is a number', { ...envelope, id: 7 }],
  ['an id that is empty', { ...envelope, id: '' }],
  ['a from that is null', { ...envelope, from: null }],
  ['a type that is a list', { ...envelope, type: ['chat'] }],
  ['the type ping', { ...envelope, type: 'ping' }],
  ['the type pong', { ...envelope, type: 'pong' }],
  ['the type error', { ...envelope, type: 'error' }],
  ['the type system', { ...envelope, type: 'system' }],
  ['data of null', { ...envelope, data: null }],
  ['a timestamp that is a number', { ...envelope, timestamp: 1715000000000 }],
  ['a leap second in the middle of a day', { ...envelope, timestamp: '2016-12-31T12:00:60Z' }],
  ['a leap second in the middle of a day elsewhere', { ...envelope, timestamp: '2016-12-31T23:59:60+02:00' }],
  ['a second after a leap second', { ...envelope, timestamp: '2016-12-31T23:59:61Z' }],
  ['a timestamp in words', { ...envelope, timestamp: 'Mon, 06 May 2024 07:08:09 GMT' }],
  ['a timestamp without a zone', { ...envelope, timestamp: '2024-05-06T07:08:09.123' }],
  ['a timestamp that is a date', { ...envelope, timestamp: '2024-05-06' }],
  ['a timestamp in the 13th month', { ...envelope, timestamp: '2024-13-06T07:08:09.123Z' }],
  ['a timestamp on the 30th of February', { ...envelope, timestamp: '2024-02-30T07:08:09.123Z' }],
  ['a timestamp on the 29th of February of another year', { ...envelope, timestamp: '2023-02-29T07:08:09.123Z' }],
  ['a timestamp at 24 hours', { ...envelope, timestamp: '2024-05-06T24:00:00.000Z' }],
  ['a timestamp in the 25th hour', { ...envelope, timestamp: '2024-05-06T25:08:09.123Z' }],
])('a publication with %s is invalid', (_, payload) => {
  expect(check(payload)).toStrictEqual({ ok: false, reason: expect.any(String) });
});

test('a publication that is wrong in its size alone tells when it was published, for its room gets a gap', () => {
  const publishedAtMs = Date.UTC(2024, 4, 6, 7, 8, 9, 123);
  expect(check(ofSize(MAX_BYTES + 1))).toStrictEqual({ ok: false, reason: 'too large', sinceMs: publishedAtMs });
});

test('a large publication that is wrong in more than its size is an invalid one like any other', () => {
  expect(check({ ...envelope, room: 'milk', data: 'x'.repeat(MAX_BYTES) })).toStrictEqual({
    ok: false,
    reason: 'not the room of its channel',
  });
});

test('a publication that no pod could be configured to take is not even parsed', () => {
  expect(check(Buffer.alloc(LARGEST_MESSAGE_BYTES + ENVELOPE_BYTES + 1, '['))).toStrictEqual({ ok: false, reason: 'too large' });
});

test.each([
  ['a room', envelope],
  ['the empty room', { ...envelope, room: '' }],
  ['a room in place of a member', without('id')],
])('a global publication with %s is invalid', (_, payload) => {
  expect(check(payload, GLOBAL_ROOM)).toMatchObject({ ok: false });
});

const FIRST = '1970-01-01T00:00:00.001Z';
const LATER = '1970-01-01T00:00:00.002Z';

test('each publication is judged by its own timestamp, whatever came before it', () => {
  const at = (timestamp: unknown) => {
    const verdict = check({ ...envelope, timestamp });
    return verdict.ok ? verdict.publishedAtMs : 'invalid';
  };
  const timestamps = [FIRST, FIRST, 'yesterday', 'yesterday', FIRST, undefined, LATER, null, FIRST, 0];
  expect(timestamps.map(at)).toEqual([1, 1, 'invalid', 'invalid', 1, 'invalid', 2, 'invalid', 1, 'invalid']);
});
