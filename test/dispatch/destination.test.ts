import { expect, test } from '@jest/globals';
import { destination } from '../../src/dispatch/destination.js';
import { GLOBAL_ROOM } from '../../src/protocol/protocol.js';

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
