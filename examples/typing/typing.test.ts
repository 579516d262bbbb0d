import { test } from '@jest/globals';
import { publish } from 'chat-api';
import { testHandler } from 'chat-api/testing';
import { typing } from './typing.js';

const legend = {
  says: { k: { data: {} } },
  effects: {
    t: publish({ type: 'typing', data: { active: true } }),
    s: publish({ type: 'typing', data: { active: false } }),
  },
};

test('the room hears at once that somebody types, however many keystrokes follow, and 5 s later that no more came', () => {
  testHandler(
    typing,
    `
      says     -kkkk 4996ms -
      effects  -t--- 4996ms s
    `,
    legend,
  );
});

test('it hears it again after 2 s where keystrokes still come, and the end is put off', () => {
  testHandler(
    typing,
    `
      says     k 999ms k 999ms -k
      effects  t 999ms - 999ms -t 4999ms s
    `,
    legend,
  );
});

test('who goes while typing leaves no timer behind', () => {
  testHandler(
    typing,
    `
      says     -k 99ms !
      effects  -t
      subs     -^ 99ms !
    `,
    legend,
  );
});
