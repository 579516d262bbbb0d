import { describe, test } from '@jest/globals';
import { map } from 'rxjs';
import Type from 'typebox';
import { builtInHandlers } from '../../src/handlers/built-in/index.js';
import { reply } from '../../src/handlers/effect.js';
import { handler } from '../../src/handlers/handler.js';
import { closed, error, welcome } from '../../src/testing/heard.js';
import type { SaidMessage } from '../../src/testing/said.js';
import { testConversation } from '../../src/testing/testConversation.js';

/** The same, for rows of a whole conversation. */
function say(content: string, more: object = {}): SaidMessage {
  return { type: 'chat', data: { content }, ...more };
}

describe('bad messages', () => {
  test('the tenth bad message in a row gets its error and then the close 4500; what follows is not handled', () => {
    testConversation(
      `
        ada        -bbbbbbbbbb---p
        ada hears  weeeeeeeee(ex)-
      `,
      {
        connections: { ada: {} },
        says: { b: 'nope', p: { type: 'ping' } },
        hears: { w: welcome, e: error('invalid_json'), x: closed(4500) },
      },
    );
  });

  test('a good message starts the count of bad ones again, and one that goes nowhere is no bad one', () => {
    testConversation(
      `
        ada        -bbbbbbbbbpbbbbbbbbbnbbbbbbbbb
        ada hears  weeeeeeeeepeeeeeeeeeneeeeeeeee
      `,
      {
        connections: { ada: {} },
        says: { b: 'nope', p: { type: 'ping' }, n: say('x', { room: 'nowhere' }) },
        hears: { w: welcome, e: error('invalid_json'), p: { type: 'pong' }, n: error('not_in_room') },
      },
    );
  });
});

describe('a handler that fails', () => {
  const faulty = handler('faulty', Type.Unknown(), (message$) =>
    message$.pipe(
      map(({ data }) => {
        if (data === 'throw') throw new Error('a bug');
        return reply({ type: 'fine', data: {} });
      }),
    ),
  );

  test('costs the message it failed on an error, and nothing else', () => {
    testConversation(
      `
        ada        -abc
        ada hears  wabc
      `,
      {
        connections: { ada: {} },
        says: { a: { type: 'faulty', data: 'throw', id: 'one' }, b: { type: 'faulty' }, c: { type: 'ping' } },
        hears: { w: welcome, a: error('unavailable', 'one'), b: { type: 'fine', data: {} }, c: { type: 'pong' } },
        handlers: [...builtInHandlers, faulty],
      },
    );
  });
});
