import { map } from 'rxjs';
import Type from 'typebox';
import type { Inbound } from '../../src/connection/transport.js';
import { builtInHandlers } from '../../src/handlers/built-in/index.js';
import { join, leave, reply } from '../../src/handlers/effect.js';
import { handler } from '../../src/handlers/handler.js';
import { MAX_ROOMS } from '../../src/protocol/protocol.js';
import { act, acting } from './acting.js';
import { text } from './ask.js';

/** Names of this many rooms. */
function rooms(count: number): readonly string[] {
  return Array.from({ length: count }, (_, nth) => `room ${nth}`);
}

/** Replies with its rooms whenever they change. */
const watch = handler('watch', Type.Unknown(), (_, { rooms$ }) =>
  rooms$.pipe(map((present) => reply({ type: 'in', data: { content: present.join() } }))),
);

/** The built-in handlers, one that watches its rooms, and one that joins and leaves as its message asks. */
export const HANDLERS = [
  ...builtInHandlers,
  watch,
  acting({
    join: () => [join(['tea'])],
    leave: () => [leave(['tea'])],
    'join two': () => [join(['tea', 'milk', 'tea'])],
    'leave two': () => [leave(['tea', 'milk'])],
    'join and leave': () => [join(['tea']), leave(['tea'])],
    'join badly': () => [join(['milk', ' tea'])],
    'join 200': () => [join(rooms(200))],
    'join 100': () => [join(rooms(MAX_ROOMS))],
    'join everybody': () => [join([''])],
    'join for another': () => [join([''], { ref: 'another' })],
  }),
];

/** What a client sends, by the letter of a marble diagram. */
export const INBOUND: Record<string, Inbound> = {
  j: act('join', { id: 'j' }),
  l: act('leave', { id: 'l' }),
  J: act('join two'),
  L: act('leave two', { id: 'L' }),
  r: act('join and leave'),
  b: act('join badly', { id: 'b' }),
  m: act('join 200', { id: 'm' }),
  h: act('join 100', { id: 'h' }),
  e: act('join everybody', { id: 'e' }),
  a: act('join for another', { id: 'a' }),
  W: text({ type: 'watch' }),
  c: text({ type: 'chat', id: 'c', data: { content: 'hi' } }),
  t: text({ type: 'chat', id: 't', room: 'tea', data: { content: 'hi' } }),
  d: { kind: 'drain', closeInMs: 5, reconnectInMs: 0 },
};

/** What a client receives, by the letter of a marble diagram. */
export const HEARD = {
  w: 'welcome',
  j: 'joined tea',
  l: 'left tea',
  J: 'joined milk',
  L: 'left milk',
  c: 'chat hi',
  n: 'error not_in_room t',
  N: 'error not_in_room l',
  M: 'error not_in_room L',
  r: 'error room_required c',
  b: 'error invalid_message b',
  e: 'error invalid_message e',
  a: 'error invalid_message another',
  f: 'error forbidden m',
  h: 'error forbidden h',
};
