import { once } from 'node:events';
import { Socket } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { PendingSockets } from '../../src/http/pending-sockets.js';

/** So many sockets that have come to a place for three, and who had to go. */
function crowd(count: number) {
  let dropped = 0;
  const pending = new PendingSockets(
    () => 3,
    () => (dropped += 1),
  );
  const sockets = Array.from({ length: count }, () => new Socket());
  const at = (nth: number) => sockets[nth] ?? new Socket();
  const come = (from = 0, to = count) => {
    for (const socket of sockets.slice(from, to)) pending.add(socket);
  };
  const gone = () => sockets.flatMap(({ destroyed }, nth) => (destroyed ? [nth] : []));
  return { pending, at, sockets, come, gone, dropped: () => dropped };
}

describe('sockets that are half open', () => {
  test('stay as long as they are not too many', () => {
    const { come, gone, pending, dropped } = crowd(3);
    come();
    expect(gone()).toEqual([]);
    expect(pending.size).toBe(3);
    expect(dropped()).toBe(0);
  });

  test('make room for those who come later, the oldest first', () => {
    const { come, gone, pending, dropped } = crowd(5);
    come();
    expect(gone()).toEqual([0, 1]);
    expect(pending.size).toBe(3);
    expect(dropped()).toBe(2);
  });

  test('are as good as new when they send a request', () => {
    const { come, gone, pending, at } = crowd(4);
    come(0, 3);
    pending.touch(at(0));
    come(3);
    expect(gone()).toEqual([1]);
  });

  test('count no more when they are WebSockets, whatever becomes of them', () => {
    const { come, gone, pending, sockets, at } = crowd(5);
    come(0, 2);
    for (const socket of sockets.slice(0, 2)) pending.remove(socket);
    pending.touch(at(0));
    come(2);
    expect(gone()).toEqual([]);
    expect(pending.size).toBe(3);
    expect(at(0).listenerCount('close')).toBe(new Socket().listenerCount('close'));
  });

  test('count no more when they are closed', async () => {
    const { come, gone, pending, at } = crowd(4);
    come(0, 3);
    at(1).destroy();
    await once(at(1), 'close');
    expect(pending.size).toBe(2);
    come(3);
    expect(gone()).toEqual([1]);
  });
});
