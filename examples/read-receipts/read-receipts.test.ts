import { test } from '@jest/globals';
import { publish, reject } from 'chat-api';
import { testHandler } from 'chat-api/testing';
import { read } from './read-receipts.js';

const FIRST = '01a208ee-d459-7084-9d8f-f45534ab0924';
const SECOND = '01a208ee-d45a-7084-9d8f-f45534ab0924';

const legend = {
  says: {
    a: { room: 'tea', data: { upTo: FIRST } },
    b: { room: 'tea', data: { upTo: SECOND } },
    m: { room: 'milk', data: { upTo: FIRST } },
    x: { id: 'x', data: { upTo: 'the end' } },
  },
  effects: {
    a: publish({ type: 'read', room: 'tea', data: { upTo: FIRST } }),
    b: publish({ type: 'read', room: 'tea', data: { upTo: SECOND } }),
    m: publish({ type: 'read', room: 'milk', data: { upTo: FIRST } }),
    x: reject('invalid_message', 'data/upTo must match format "uuid"', 'x'),
  },
};

test('what is read within half a second is told as the newest of it', () => {
  testHandler(
    read,
    `
      says     -aba- 600ms a
      effects  ----- 496ms b 603ms a
    `,
    legend,
  );
});

test('each room hears of its own', () => {
  testHandler(
    read,
    `
      says     -amb
      effects  ---- 497ms (bm)
    `,
    legend,
  );
});

test('what is no id of a message is refused', () => {
  testHandler(
    read,
    `
      says     -x
      effects  -x
    `,
    legend,
  );
});

test('who goes before that tells nothing, and leaves no timer behind', () => {
  testHandler(
    read,
    `
      says     -a 99ms !
      effects  --
      subs     -^ 99ms !
    `,
    legend,
  );
});
