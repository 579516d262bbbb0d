import { test } from '@jest/globals';
import { builtInHandlers } from 'chat-api';
import { error, joined, left, testConversation, welcome } from 'chat-api/testing';
import { joinRoom, leaveRoom } from './join-leave.js';

const handlers = [...builtInHandlers, joinRoom, leaveRoom];
const chat = (content: string) => ({ type: 'chat', room: 'tea', data: { content } });

test('who joins a room hears what is said there until it leaves', () => {
  testConversation(
    `
      alice        --j--b--l-----
      alice hears  w-J-ab--L-----
      bob          -a--a--------a
      bob hears    wa--ab-------a
    `,
    {
      handlers,
      connections: { alice: {}, bob: { rooms: ['tea'] } },
      says: {
        j: { type: 'join', data: { room: 'tea' } },
        l: { type: 'leave', data: { room: 'tea' } },
        a: chat('from bob'),
        b: chat('from alice'),
      },
      hears: { w: welcome, J: joined('tea'), L: left('tea'), a: chat('from bob'), b: chat('from alice') },
    },
  );
});

test('what cannot be joined or left is told with the message’s id', () => {
  testConversation(
    `
      alice        -i-f-n-
      alice hears  wi-f-n-
    `,
    {
      handlers,
      connections: { alice: { claims: { rooms: ['tea'], exp: 60 } } },
      says: {
        i: { type: 'join', id: 'spaces', data: { room: ' tea ' } },
        f: { type: 'join', id: 'secret', data: { room: 'board' } },
        n: { type: 'leave', id: 'never in it', data: { room: 'tea' } },
      },
      hears: {
        w: welcome,
        i: error('invalid_message', 'spaces'),
        f: error('forbidden', 'secret'),
        n: error('not_in_room', 'never in it'),
      },
    },
  );
});
