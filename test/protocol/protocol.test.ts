import { describe, expect, test } from '@jest/globals';
import { byteLength, isWithin, timestamp, writeEnvelope, type Envelope } from '../../src/protocol/protocol.js';

const envelope: Envelope = {
  id: '018f0000-0000-7000-8000-000000000000',
  type: 'chat',
  room: 'tea',
  from: 'ada',
  data: { content: 'hi' },
  timestamp: '2024-05-06T07:08:09.123Z',
};

/** The same by JSON.stringify, in the order of the wire. */
function stringified({ id, type, room, from, data, timestamp }: Envelope): string {
  return JSON.stringify({ id, type, room, from, data, timestamp });
}

describe('an envelope as text', () => {
  test.each([
    ['letters', 'tea'],
    ['all that needs no escape', 'A-z_0.9:x y'],
    ['nothing', ''],
    ['quotes', 'a "quoted" name'],
    ['a backslash', 'c:\\tea'],
    ['a line feed at its end', 'tea\n'],
    ['each control character', Array.from({ length: 32 }, (_, code) => String.fromCharCode(code)).join('')],
    ['a delete character', '\x7f'],
    ['letters that are not ASCII', 'Größe 日本'],
    ['an emoji', '😀'],
    ['a leading surrogate alone', 'a\uD83Db'],
    ['a trailing surrogate alone', 'a\uDE00b'],
    ['line and paragraph separators', 'a\u2028b\u2029c'],
    ['a byte order mark', '\uFEFFtea'],
    ['what ends a script', '</script>'],
    ['JSON', '","from":"server","x":"'],
  ])('is what JSON.stringify makes of it where a name has %s', (_, name) => {
    for (const member of ['id', 'type', 'room', 'from', 'timestamp'] as const) {
      const named = { ...envelope, [member]: name };
      expect(writeEnvelope(named)).toBe(stringified(named));
    }
    const inData = { ...envelope, data: { [name]: name } };
    expect(writeEnvelope(inData)).toBe(stringified(inData));
  });

  test('is no member longer where the object has more', () => {
    const more = { ...envelope, secret: 'x', toJSON: () => ({}) };
    expect(writeEnvelope(more)).toBe(stringified(envelope));
  });

  test('leaves an absent room out', () => {
    const { id, type, from, data, timestamp } = envelope;
    const global = { id, type, from, data, timestamp };
    expect(writeEnvelope(global)).toBe(JSON.stringify(global));
    expect(writeEnvelope({ ...global, room: undefined })).toBe(JSON.stringify(global));
  });

  test.each([
    ['a list', [1, 'two', null]],
    ['a string', 'a "string"'],
    ['a number', 5],
    ['false', false],
    ['zero', 0],
    ['an empty string', ''],
    ['objects in it', { a: { b: [{ c: null }] }, left: undefined }],
    ['a date', new Date(0)],
  ])('has its data as JSON.stringify writes it: %s', (_, data) => {
    expect(writeEnvelope({ ...envelope, data })).toBe(stringified({ ...envelope, data }));
  });

  test('has data even where there is none', () => {
    expect(writeEnvelope({ ...envelope, data: undefined })).toBe(stringified({ ...envelope, data: {} }));
  });
});

describe('a timestamp', () => {
  test('is RFC 3339, in UTC and with milliseconds', () => {
    expect(timestamp(1_714_979_289_123)).toBe('2024-05-06T07:08:09.123Z');
  });

  test('is right at the epoch, asked twice, and when time goes back', () => {
    const times = [0, 0, 1, 1, 0, 1_714_979_289_123, 1_714_979_289_123, 1, -1];
    expect(times.map((ms) => timestamp(ms))).toEqual(times.map((ms) => new Date(ms).toISOString()));
  });

  test('is right after one that could not be told', () => {
    timestamp(5);
    expect(() => timestamp(NaN)).toThrow(RangeError);
    expect([timestamp(5), timestamp(6)]).toEqual(['1970-01-01T00:00:00.005Z', '1970-01-01T00:00:00.006Z']);
  });
});

test.each([
  ['ASCII', 'tea', 3],
  ['two bytes a letter', 'é', 2],
  ['four bytes', '😀', 4],
  ['a lone surrogate, which becomes U+FFFD', '\uD83D', 3],
  ['nothing', '', 0],
])('counts the bytes of %s', (_, text, bytes) => {
  expect(byteLength(text)).toBe(bytes);
  expect([bytes - 1, bytes, bytes + 1, 3 * text.length].map((most) => isWithin(most, text))).toEqual([false, true, true, true]);
});
