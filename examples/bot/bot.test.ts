import { test } from '@jest/globals';
import { publish } from 'chat-api';
import { testConversation, testMiddleware, welcome, type Heard } from 'chat-api/testing';
import { dice } from './bot.js';

const say = (content: string) => ({ type: 'chat', data: { content } });

test('it answers a roll half a second later, in its own name, and lets everything pass', () => {
  testMiddleware(
    dice,
    `
      says     -h-r 499ms -
      effects  -h-r 499ms x
    `,
    {
      says: { h: say('hi'), r: say('/roll') },
      effects: { h: publish(say('hi')), r: publish(say('/roll')), x: publish(say('me rolls 4'), { as: 'dice' }) },
    },
  );
});

test('who has gone gets no answer, and nothing of the bot remains', () => {
  testMiddleware(
    dice,
    `
      says     -r 300ms !
      effects  -r
      subs     -^ 300ms !
    `,
    { says: { r: say('/roll') }, effects: { r: publish(say('/roll')) } },
  );
});

test('it rolls what the dice show', () => {
  for (const [chance, shown] of [
    [0, 1],
    [0.999, 6],
  ] as const) {
    testMiddleware(dice, 'says r\neffects r 499ms x', {
      says: { r: say('/roll') },
      effects: { r: publish(say('/roll')), x: publish(say(`me rolls ${shown}`), { as: 'dice' }) },
      chance,
    });
  }
});

test('everybody in the room hears it once, on all pods, and nobody else', () => {
  const from = (name: string, content: string): Heard => ({ type: 'chat', room: 'tea', from: name, data: { content } });
  testConversation(
    `
      alice        -r 499ms -
      alice hears  wr 499ms x
      bob hears    wr 499ms x
      carol hears  w
    `,
    {
      pods: ['one', 'two'],
      connections: { alice: { rooms: ['tea'] }, bob: { rooms: ['tea'], pod: 'two' }, carol: { rooms: ['milk'] } },
      says: { r: say('/roll') },
      hears: { w: welcome, r: from('alice', '/roll'), x: from('dice', 'alice rolls 4') },
      middleware: [dice],
    },
  );
});
