import { test } from '@jest/globals';
import { builtInHandlers, reject } from 'chat-api';
import { testConversation, testHandler, welcome } from 'chat-api/testing';
import { countReactions, reaction } from './reactions.js';

const TO = '01a208ee-d459-7084-9d8f-f45534ab0924';
const OTHER = '01a208ee-d45a-7084-9d8f-f45534ab0924';

const liked = (to: string) => ({ type: 'reaction', data: { to, emoji: '👍' } });
const counted = (to: string, count: number) => ({ type: 'reaction', data: { to, emoji: '👍', count } });
const chat = { type: 'chat', data: { content: 'hi' } };

test('each reaction says how many of its kind there are for the message, whoever sent it', () => {
  testConversation(
    `
      alice        -a---o-c-
      alice hears  w1-2-o-c-
      bob          ---a-----
      bob hears    w1-2-o-c-
    `,
    {
      handlers: [...builtInHandlers, reaction],
      transform: countReactions,
      connections: { alice: { rooms: ['tea'] }, bob: { rooms: ['tea'] } },
      says: { a: liked(TO), o: liked(OTHER), c: chat },
      hears: { w: welcome, '1': counted(TO, 1), '2': counted(TO, 2), o: counted(OTHER, 1), c: chat },
    },
  );
});

test('a reaction to nothing, or without an emoji, is refused', () => {
  testHandler(
    reaction,
    `
      says     -ab
      effects  -ab
    `,
    {
      says: { a: { data: { to: 'it', emoji: '👍' } }, b: { data: { to: TO, emoji: '' } } },
      effects: {
        a: reject('invalid_message', 'data/to must match format "uuid"'),
        b: reject('invalid_message', 'data/emoji must not have fewer than 1 characters'),
      },
    },
  );
});
