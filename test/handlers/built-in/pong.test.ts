import { test } from '@jest/globals';
import { pong } from '../../../src/handlers/built-in/pong.js';
import { testHandler } from '../../../src/testing/testHandler.js';

test('a pong leads to nothing, whatever is in it', () => {
  testHandler(
    pong,
    `
      says     -a-b-!
      effects  ------
      subs     -^---!
    `,
    { says: { a: {}, b: { id: 'x', data: { n: 1 } } } },
  );
});
