import { describe, expect, test } from '@jest/globals';
import { RecentPublishes, readNotice, writeNotice } from '../../../src/redis/cluster/in-doubt.js';

describe('recent publishes', () => {
  test('of rooms that have moved are taken once, with the last confirmation of each', () => {
    const rooms = new RecentPublishes();
    rooms.confirmed('tea', 1);
    rooms.confirmed('tea', 3);
    rooms.confirmed('milk', 2);
    expect([...rooms.take((room) => room === 'tea')]).toEqual([['tea', 3]]);
    expect([...rooms.take(() => true)]).toEqual([['milk', 2]]);
  });

  test('are forgotten if they were confirmed before a time', () => {
    const rooms = new RecentPublishes();
    rooms.forget(0, 100);
    rooms.confirmed('early', 110);
    // Nothing is older, so everything is kept.
    rooms.forget(90, 150);
    rooms.confirmed('late', 160);
    rooms.forget(120, 200);
    expect([...rooms.take(() => true).keys()]).toEqual(['early', 'late']);
    rooms.confirmed('early', 210);
    rooms.forget(220, 300);
    rooms.confirmed('late', 310);
    rooms.forget(310, 400);
    expect([...rooms.take(() => true).keys()]).toEqual(['late']);
  });
});

describe('a notice', () => {
  const notice = { pod: 'id-1', sinceAgeMs: 3000, untilAgeMs: 20, sinceWallMs: 1_800_000_000_000 };

  test('is read as it was written, in whole milliseconds', () => {
    expect(readNotice(Buffer.from(writeNotice(notice)))).toEqual(notice);
    expect(readNotice(Buffer.from(writeNotice({ ...notice, untilAgeMs: -0.5, sinceAgeMs: 3000.7 })))).toEqual({
      ...notice,
      untilAgeMs: 0,
    });
  });

  test.each([
    '{"id":"x"}',
    'misplaced',
    'misplaced 2 id-1 3000 20 1800000000000',
    'misplaced 1 id-1 3000 20',
    'misplaced 1 id-1 -3000 20 1800000000000',
    'misplaced 1 id-1 9999999999999 20 1800000000000',
    'misplaced 1 id-1 3000 20 1800000000000 more',
    '',
  ])('is not read from %j', (text) => {
    expect(readNotice(Buffer.from(text))).toBeUndefined();
  });
});
