import { test } from '@jest/globals';
import { builtInHandlers, transform } from 'chat-api';
import { envelope, testConversation, testHandler, testOperator, welcome, type Heard } from 'chat-api/testing';
import { block, except } from './block.js';

test('what blocked people say is left out', () => {
  testOperator(
    () => except(new Set(['bob'])),
    `
      source  -a-b-a-b-|
      output  -a---a---|
    `,
    {
      source: { a: envelope({ from: 'alice' }), b: envelope({ from: 'bob' }) },
      output: { a: envelope({ from: 'alice' }) },
    },
  );
});

test('hearing goes through an operator as long as somebody is blocked', () => {
  testHandler(
    block,
    `
      says     -b-c-B-C-b-
      effects  -x-x-x-o-x-
    `,
    {
      says: {
        b: { data: { who: 'bob', blocked: true } },
        c: { data: { who: 'carol', blocked: true } },
        B: { data: { who: 'bob', blocked: false } },
        C: { data: { who: 'carol', blocked: false } },
      },
      effects: { x: transform(except(new Set())), o: transform(undefined) },
    },
  );
});

test('alice no longer hears bob, until she does again; carol hears both all the time', () => {
  const tea = { rooms: ['tea'] };
  const hi = (from: string): Heard => ({ type: 'chat', from, data: { content: 'hi' } });
  testConversation(
    `
      alice        --b---h---B---
      alice hears  wo----a-c---o-
      bob          -h--h-------h-
      carol        --------h-----
      carol hears  wo--o-a-c---o-
    `,
    {
      connections: { alice: tea, bob: tea, carol: tea },
      says: {
        h: { type: 'chat', data: { content: 'hi' } },
        b: { type: 'block', data: { who: 'bob', blocked: true } },
        B: { type: 'block', data: { who: 'bob', blocked: false } },
      },
      hears: { w: welcome, a: hi('alice'), o: hi('bob'), c: hi('carol') },
      handlers: [...builtInHandlers, block],
    },
  );
});
