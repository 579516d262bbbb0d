import { describe, expect, test } from '@jest/globals';
import { Observable } from 'rxjs';
import { RoomSubscription, lossOf } from '../../src/redis/room-subscription.js';

function subscriptionTo(room: string, lostAtMs?: number): RoomSubscription {
  const lostSince = lostAtMs === undefined ? undefined : { ms: lostAtMs, wallMs: 1000 + lostAtMs };
  let made: RoomSubscription | undefined;
  new Observable<boolean>((subscriber) => {
    made = new RoomSubscription(room, subscriber, lostSince, { unsubscribed: () => undefined });
  }).subscribe();
  if (made === undefined) throw new Error('it was not made');
  return made;
}

test('a room subscription that ends is removed by its owner', () => {
  const removed: string[] = [];
  const owner = { unsubscribed: ({ room }: RoomSubscription) => removed.push(room) };
  const confirmed$ = new Observable<boolean>((subscriber) => new RoomSubscription('tea', subscriber, undefined, owner));
  const subscription = confirmed$.subscribe();
  expect(removed).toEqual([]);
  subscription.unsubscribe();
  expect(removed).toEqual(['tea']);
});

describe('the loss of rooms', () => {
  test('is none if no room was open before', () => {
    expect(lossOf([])).toBeUndefined();
    expect(lossOf([subscriptionTo('tea'), subscriptionTo('milk')])).toBeUndefined();
  });

  test('has the rooms that were open before, and the earliest time', () => {
    const subscriptions = [subscriptionTo('tea', 30), subscriptionTo('jam'), subscriptionTo('milk', 20)];
    expect(lossOf(subscriptions)).toEqual({ rooms: new Set(['tea', 'milk']), since: { ms: 20, wallMs: 1020 } });
  });
});
