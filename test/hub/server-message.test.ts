import { expect, test } from '@jest/globals';
import { TestScheduler } from 'rxjs/testing';
import type { Batch } from '../../src/hub/frame.js';
import { errorBatch, gapBatch, serverBatch, systemBatch, writeServerMessage } from '../../src/hub/server-message.js';
import type { Runtime } from '../../src/runtime/runtime.js';
import { virtualRuntime } from '../support/marbles.js';
import { readable } from '../support/pod.js';

const envelope = { id: 'id-1', from: 'server', timestamp: '1970-01-01T00:00:00.000Z' };

function runtime(): Runtime {
  return virtualRuntime(new TestScheduler(() => undefined));
}

test('the server’s own message is an envelope from `server` with a fresh id and the runtime’s time', () => {
  const scheduler = new TestScheduler(() => undefined);
  scheduler.frame = 1234;
  expect(writeServerMessage({ type: 'pong', data: {} }, virtualRuntime(scheduler))).toBe(
    '{"id":"id-1","type":"pong","from":"server","data":{},"timestamp":"1970-01-01T00:00:01.234Z"}',
  );
});

test('each has an id of its own', () => {
  const here = runtime();
  const ids = [1, 2].map(() => (JSON.parse(writeServerMessage({ type: 'pong', data: {} }, here)) as { id: string }).id);
  expect(ids).toEqual(['id-1', 'id-2']);
});

test.each<[what: string, batch: (runtime: Runtime) => Batch, message: object]>([
  [
    'a room’s message names the room',
    (here) => serverBatch({ type: 'presence', room: 'tea', data: { status: 'online', clientId: 'ada' } }, here),
    { ...envelope, type: 'presence', room: 'tea', data: { status: 'online', clientId: 'ada' } },
  ],
  [
    'an answer keeps the id it was asked with',
    (here) => serverBatch({ type: 'pong', data: 5, id: 'mine' }, here),
    { ...envelope, type: 'pong', data: 5, id: 'mine' },
  ],
  [
    'an empty id is an id too',
    (here) => serverBatch({ type: 'pong', data: 5, id: '' }, here),
    { ...envelope, type: 'pong', data: 5, id: '' },
  ],
  [
    'welcome',
    (here) => systemBatch('welcome', { clientId: 'ada', rooms: [], pingIntervalMs: 25_000, maxMessageBytes: 65_536 }, here),
    {
      ...envelope,
      type: 'system',
      data: { event: 'welcome', clientId: 'ada', rooms: [], pingIntervalMs: 25_000, maxMessageBytes: 65_536 },
    },
  ],
  [
    'shutdown',
    (here) => systemBatch('shutdown', { reconnectInMs: 7 }, here),
    { ...envelope, type: 'system', data: { event: 'shutdown', reconnectInMs: 7 } },
  ],
  [
    'a gap of a subscription',
    (here) => gapBatch('subscription', 1500, here),
    { ...envelope, type: 'system', data: { event: 'gap', reason: 'subscription', since: '1970-01-01T00:00:01.500Z' } },
  ],
  [
    'a gap of a slow consumer',
    (here) => gapBatch('slow_consumer', 0, here),
    { ...envelope, type: 'system', data: { event: 'gap', reason: 'slow_consumer', since: '1970-01-01T00:00:00.000Z' } },
  ],
  [
    'an error refers to what it is about',
    (here) => errorBatch({ code: 'not_in_room', reason: 'no', ref: '7' }, here),
    { ...envelope, type: 'error', data: { code: 'not_in_room', message: 'no', ref: '7' } },
  ],
  [
    'an error without a usable id refers to nothing',
    (here) => errorBatch({ code: 'invalid_json', reason: 'no', ref: undefined }, here),
    { ...envelope, type: 'error', data: { code: 'invalid_json', message: 'no' } },
  ],
])('on the wire: %s', (_, batch, message) => {
  const sent = batch(runtime());
  expect(readable(sent)).toStrictEqual([message]);
  expect(sent).toMatchObject({ messages: 1 });
  expect(sent.publishedAtMs).toBeUndefined();
});
