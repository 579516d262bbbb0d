import { expect, test } from '@jest/globals';
import { PublishError, RoomRefusedError } from '../../src/broker/broker.js';

test.each(['unavailable', 'unconfirmed'] as const)('a PublishError has the code %s and its reason as the message', (code) => {
  const error = new PublishError(code, 'Redis is not connected');
  expect(error).toBeInstanceOf(Error);
  expect([error.code, error.message]).toEqual([code, 'Redis is not connected']);
});

test('a RoomRefusedError is an error, and no PublishError', () => {
  const error = new RoomRefusedError('NOPERM');
  expect(error).toBeInstanceOf(Error);
  expect(error).not.toBeInstanceOf(PublishError);
});
