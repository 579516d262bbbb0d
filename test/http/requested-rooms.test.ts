import { expect, test } from '@jest/globals';
import { BadRooms, requestedRooms } from '../../src/http/requested-rooms.js';

const hundred = Array.from({ length: 100 }, (_, n) => `r${n}`);

function asQuery(rooms: readonly string[]): string {
  return rooms.map((room) => `room=${room}`).join('&');
}

test.each<[what: string, segment: string | undefined, query: string, rooms: readonly string[]]>([
  ['no room at all', undefined, '', []],
  ['the room in the path', 'tea', '', ['tea']],
  ['the room in the query', undefined, 'room=tea', ['tea']],
  ['each room in the query', undefined, 'room=b&room=a', ['b', 'a']],
  ['path before query', 'c', 'room=a&room=b', ['c', 'a', 'b']],
  ['a room named twice in the query once', undefined, 'room=a&room=b&room=a', ['a', 'b']],
  ['a room named in path and query once', 'a', 'room=a', ['a']],
  ['a room named in two encodings once', 'caf%C3%A9', 'room=café&room=caf%c3%a9', ['café']],
  ['100 rooms', undefined, asQuery(hundred), hundred],
  ['100 rooms, one of them twice', 'r0', asQuery(hundred), hundred],
  ['what is percent-encoded in the path', 'tea%20%F0%9F%98%80', '', ['tea 😀']],
  ['what is percent-encoded in the query', undefined, 'room=tea%26milk%3D', ['tea&milk=']],
  ['a plus in the query as a space', undefined, 'room=tea+room', ['tea room']],
  ['an encoded plus in the query as a plus', undefined, 'room=a%2Bb', ['a+b']],
  ['a plus in the path as a plus', 'a+b', '', ['a+b']],
  ['a name percent-encoded twice once decoded', 'a%2520b', '', ['a%20b']],
  ['what stands behind a second equals sign too', undefined, 'room=a=b', ['a=b']],
  ['an encoded `room`', undefined, 'r%6Fom=tea', ['tea']],
  ['no room of another parameter', undefined, 'rooms=a&Room=b&token=c&flag&&x=%zz', []],
  ['no room of a parameter whose key is badly encoded', undefined, '100%=1&room=a&%zz=2&%ff=3', ['a']],
  ['no room of a parameter that only begins like ours', undefined, 'room2=a&roomy=b&room.0=c&x[room]=d', []],
])('requestedRooms should name %s', (_, segment, query, rooms) => {
  expect(requestedRooms(segment, query)).toStrictEqual(rooms);
});

test.each<[what: string, segment: string | undefined, query: string]>([
  ['an empty name in the path', '', ''],
  ['an empty name in the query', undefined, 'room='],
  ['a `room` without a value', undefined, 'room'],
  ['one bad name among good ones', 'tea', 'room=milk&room='],
  ['101 rooms in the query', undefined, asQuery([...hundred, 'more'])],
  ['101 rooms in path and query', 'more', asQuery(hundred)],
  ['an unfinished escape in the path', 'a%', ''],
  ['an unfinished escape in the query', undefined, 'room=a%4'],
  ['an escape that is no hexadecimal', 'a%zz', ''],
  ['escapes that are no UTF-8', 'a%ff', ''],
  ['an overlong UTF-8 slash', 'a%c0%afb', ''],
  ['an encoded surrogate', 'a%ed%a0%80', ''],
  ['an encoded slash', 'a%2Fb', ''],
  ['a slash', 'a/b', ''],
  ['encoded dots', '%2e%2e', ''],
  ['an encoded zero byte', 'a%00', ''],
  ['a plus at its end in the query', undefined, 'room=tea+'],
  ['a room in an array', undefined, 'room[]=a'],
  ['a room in an array beside one of ours', 'tea', 'room[]=a'],
  ['a room in an array with numbers', undefined, 'room[0]='],
  ['a room in an array whose brackets are encoded', undefined, 'room%5B%5D=a'],
  ['a room in an array, encoded twice', undefined, 'room%255B%255D=a'],
  ['a room in an array, badly encoded', undefined, 'room[%zz]=a'],
  ['a `room` that is badly encoded', undefined, 'room%=a'],
  ['a space before `room`', undefined, '+room=a'],
  ['a space behind `room`', undefined, 'room%20=a'],
  ['an ampersand of HTML', undefined, 'room=a&amp;room=b'],
  ['129 bytes once decoded', '%C3%A9'.repeat(64) + 'x', ''],
])('requestedRooms should refuse %s', (_, segment, query) => {
  expect(() => requestedRooms(segment, query)).toThrow(BadRooms);
});

test('requestedRooms should count the 128 bytes of a name after percent-decoding', () => {
  expect(requestedRooms('%C3%A9'.repeat(64), '')).toStrictEqual(['é'.repeat(64)]);
});
