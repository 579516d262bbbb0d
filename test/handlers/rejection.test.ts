import { expect, test } from '@jest/globals';
import { usableRef } from '../../src/handlers/rejection.js';

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
