import { expect, test } from '@jest/globals';
import { isRoomName } from '../../src/protocol/names.js';

test.each([
  ['one letter', 'a'],
  ['a space inside', 'tea room'],
  ['128 bytes of ASCII', 'x'.repeat(128)],
  ['128 bytes in letters of two', 'é'.repeat(64)],
  ['128 bytes in emoji of four', '😀'.repeat(32)],
  ['three dots', '...'],
  ['dots inside', 'a..b'],
  ['a backslash', 'a\\b'],
  ['quotes, colons, question marks', '"a":?&#%'],
  ['what looks like a property of objects', '__proto__'],
  ['a name that is a channel elsewhere', 'global'],
  ['a line separator inside, which is no control character', 'a\u2028b'],
])('a room may be called by %s', (_, name) => {
  expect(isRoomName(name)).toBe(true);
});

test.each([
  ['nothing', ''],
  ['129 bytes of ASCII', 'x'.repeat(129)],
  ['129 bytes in letters of two and one of one', `${'é'.repeat(64)}x`],
  ['132 bytes in emoji of four', '😀'.repeat(33)],
  ['a dot', '.'],
  ['two dots', '..'],
  ['a slash', 'a/b'],
  ['a slash alone', '/'],
  ['a space at its start', ' a'],
  ['a space at its end', 'a '],
  ['a space alone', ' '],
  ['a no-break space at its end', 'a\u00a0'],
  ['an ideographic space at its start', '\u3000a'],
  ['a line separator at its end', 'a\u2028'],
  ['a zero byte', 'a\0b'],
  ['a tab', 'a\tb'],
  ['a line feed', 'a\nb'],
  ['DEL', 'a\x7fb'],
  ['a C1 control character', 'a\u0085b'],
  ['half a surrogate pair, which has no UTF-8', 'a\ud800b'],
])('no room is called by %s', (_, name) => {
  expect(isRoomName(name)).toBe(false);
});
