import { describe, test } from '@jest/globals';
import { publish } from '../../../src/handlers/effect.js';
import { chat } from '../../../src/handlers/built-in/chat.js';
import { reject } from '../../../src/handlers/rejection.js';
import { welcome } from '../../../src/testing/heard.js';
import { testConversation } from '../../../src/testing/testConversation.js';
import { testHandler } from '../../../src/testing/testHandler.js';

describe('chat', () => {
  test('is published as it was said: to the room it names, with its id and all of its data', () => {
    const message = { id: 'one', room: 'tea', data: { content: 'hi', mood: 'good' } };
    testHandler(
      chat,
      `
        says     -a--a-!
        effects  -a--a--
        subs     -^----!
      `,
      { says: { a: message }, effects: { a: publish({ type: 'chat', ...message }) } },
    );
  });

  test('needs a text as its content', () => {
    testHandler(
      chat,
      `
        says     -abc-
        effects  -xxc-
        subs     -----
      `,
      {
        says: { a: { id: 'one' }, b: { id: 'two', data: 'hi' }, c: { id: 'three', data: { content: 1 } } },
        effects: {
          x: reject('invalid_message', 'data must be object'),
          c: reject('invalid_message', 'data/content must be string', 'three'),
        },
      },
    );
  });

  test('comes to everybody in the room, the sender included, and to nobody else', () => {
    testConversation(
      `
        alice        -a------
        alice hears  wa-b----
        bob          ---b-!
        bob hears    wa-b----
        carol hears  w-------
      `,
      {
        connections: { alice: { rooms: ['tea'] }, bob: { rooms: ['tea'] }, carol: { rooms: ['coffee'] } },
        says: {
          a: { type: 'chat', data: { content: 'hi' } },
          b: { type: 'chat', data: { content: 'ho' } },
        },
        hears: {
          w: welcome,
          a: { type: 'chat', room: 'tea', from: 'alice', data: { content: 'hi' } },
          b: { type: 'chat', room: 'tea', from: 'bob', data: { content: 'ho' } },
        },
      },
    );
  });
});
