import { describe, test } from '@jest/globals';
import { reply } from '../../../src/handlers/effect.js';
import { ping } from '../../../src/handlers/built-in/ping.js';
import { testHandler } from '../../../src/testing/testHandler.js';

describe('ping', () => {
  test('is answered at once, with the same id and data', () => {
    testHandler(
      ping,
      `
        says     -a--b-
        effects  -a--b-
      `,
      {
        says: { a: { id: 'one', data: { n: 1 } }, b: { id: 'two', data: 'any' } },
        effects: {
          a: reply({ type: 'pong', id: 'one', data: { n: 1 } }),
          b: reply({ type: 'pong', id: 'two', data: 'any' }),
        },
      },
    );
  });

  test('needs neither id nor data', () => {
    testHandler(
      ping,
      `
        says     -a-
        effects  -a-
      `,
      { says: { a: {} }, effects: { a: reply({ type: 'pong', data: {} }) } },
    );
  });

  test('goes on as long as the connection does', () => {
    testHandler(
      ping,
      `
        says     -a 9m a-!
        effects  -a 9m a
        subs     -^ 9m --!
      `,
      { says: { a: {} }, effects: { a: reply({ type: 'pong', data: {} }) } },
    );
  });
});
