import { expect, test } from '@jest/globals';
import { publish, reject, reply } from 'chat-api';
import { testMiddleware } from 'chat-api/testing';
import { rateLimit } from './rate-limit.js';

const chat = { type: 'chat', data: { content: 'hi' } };

const legend = {
  says: { c: chat, p: { type: 'ping', id: 'p', data: {} } },
  effects: {
    c: publish(chat),
    p: reply({ type: 'pong', id: 'p', data: {} }),
    x: reject('unavailable', 'more than 2 messages a second'),
  },
};

test('a burst passes, then as much as comes back each second', () => {
  testMiddleware(
    rateLimit({ burst: 3, perSecond: 2 }),
    `
      says     cccc 498ms cc 498ms cc
      effects  cccx 498ms cx 498ms cx
    `,
    legend,
  );
});

test('a bucket never holds more than its burst, however long nothing is said', () => {
  testMiddleware(
    rateLimit({ burst: 2, perSecond: 2 }),
    `
      says     -c 60s ccc
      effects  -c 60s ccx
    `,
    legend,
  );
});

test('it counts every type, and what is refused', () => {
  const { counted } = testMiddleware(
    rateLimit({ burst: 2, perSecond: 2 }),
    `
      says     -pcpc
      effects  -pcxx
    `,
    legend,
  );
  expect(counted).toEqual({ 'rate-limit refused': 2 });
});
