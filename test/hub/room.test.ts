import { describe, expect, test } from '@jest/globals';
import { Subject } from 'rxjs';
import { Room } from '../../src/hub/room.js';
import { TestTrip } from '../support/round-trip.js';

/** A room subscribed to a broker's confirmations, and the calls that it makes. */
function subscribedRoom() {
  const calls: unknown[] = [];
  const confirmations$ = new Subject<boolean>();
  const room = new Room('tea', {
    confirmed: (_, isConfirmed) => calls.push(isConfirmed),
    refused: (_, error) => calls.push(error),
  });
  confirmations$.subscribe(room);
  return { room, calls, confirmations$ };
}

describe('a room', () => {
  test('reports each change of its confirmation once', () => {
    const { room, calls, confirmations$ } = subscribedRoom();
    for (const isConfirmed of [false, true, true, false]) confirmations$.next(isConfirmed);
    expect(calls).toEqual([true, false]);
    expect(room.isConfirmed).toBe(false);
  });

  test('is closed and no longer confirmed after a refusal', () => {
    const { room, calls, confirmations$ } = subscribedRoom();
    confirmations$.next(true);
    confirmations$.error('no');
    expect(calls).toEqual([true, 'no']);
    expect([room.closed, room.isConfirmed]).toEqual([true, false]);
  });

  test('is used until each acquire was released', () => {
    const { room } = subscribedRoom();
    room.acquire();
    room.acquire();
    room.release();
    expect(room.isUsed).toBe(true);
    room.release();
    expect(room.isUsed).toBe(false);
  });

  test('returns the oldest expected publish of an id, each once', () => {
    const { room } = subscribedRoom();
    const [first, second, other] = [new TestTrip('a', 1), new TestTrip('a', 1), new TestTrip('b', 1)];
    for (const trip of [first, second, other]) room.expect(trip);
    expect(room.roundTrips()).toEqual([first, second, other]);
    expect(['a', 'a', 'a', 'b'].map((id) => room.takeReturned(id))).toEqual([first, second, undefined, other]);
    expect(room.roundTrips()).toEqual([]);
  });

  test('no longer expects a publish that was forgotten', () => {
    const { room } = subscribedRoom();
    const [first, second] = [new TestTrip('a', 1), new TestTrip('a', 1)];
    room.expect(first);
    room.expect(second);
    room.forget(first);
    expect(room.takeReturned('a')).toBe(second);
  });
});
