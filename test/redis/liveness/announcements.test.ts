import { describe, expect, test } from '@jest/globals';
import { of } from 'rxjs';
import { Announcements, readAnnouncement, writeAnnouncement } from '../../../src/redis/liveness/announcements.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 1_767_225_600_000;

/** The announcements that a pod has received, and the pod's clocks. */
function receiver() {
  const clocks = { ms: 50_000.5, wallMs: DAY_MS };
  const announcements = new Announcements({
    scheduler: { now: () => clocks.ms, schedule: () => of().subscribe() },
    wallMs: () => clocks.wallMs,
  });
  const receive = (id: string, ageMs: number, wallMs: number, sentMs = clocks.ms) => {
    announcements.receive(Buffer.from(writeAnnouncement({ id, ageMs, wallMs })), sentMs);
  };
  return { clocks, announcements, receive };
}

describe('received announcements', () => {
  test.each([
    { what: 'equal to this one', offMs: 0, since: DAY_MS - 1001 },
    { what: 'an hour ahead', offMs: HOUR_MS, since: DAY_MS - 1001 },
    { what: 'an hour behind', offMs: -HOUR_MS, since: DAY_MS - 1000 - HOUR_MS },
  ])(
    'of a pod whose clock is $what give a gap since the age or the time that they name, whichever is earlier',
    ({ offMs, since }) => {
      const { announcements, receive } = receiver();
      receive('a', 1000, DAY_MS + offMs - 1000);
      expect(announcements.take()).toBe(since);
    },
  );

  test('are older by the time that they took to arrive', () => {
    const { announcements, receive, clocks } = receiver();
    receive('a', 1000, DAY_MS + HOUR_MS, clocks.ms - 4000);
    expect(announcements.take()).toBe(DAY_MS - 5001);
  });

  test('grow older until they are taken, also if the wall clock is set back meanwhile', () => {
    const { announcements, receive, clocks } = receiver();
    receive('a', 1000, DAY_MS + HOUR_MS);
    clocks.ms += 300;
    clocks.wallMs += 300 - HOUR_MS;
    expect(announcements.take()).toBe(DAY_MS - 1001 - HOUR_MS);
  });

  test('give one gap together, and repetitions give none', () => {
    const { announcements, receive } = receiver();
    receive('a', 1000, DAY_MS);
    receive('b', 3000, DAY_MS);
    receive('b', 9000, DAY_MS);
    expect(announcements.take()).toBe(DAY_MS - 3003);
    receive('a', 2500, DAY_MS);
    expect(announcements.take()).toBeUndefined();
  });

  test('are recognized as repetitions until a hundred others have come', () => {
    const { announcements, receive } = receiver();
    for (let nth = 0; nth <= 100; nth++) receive(`id-${nth}`, 1, DAY_MS);
    announcements.take();
    receive('id-1', 1, DAY_MS);
    expect(announcements.take()).toBeUndefined();
    receive('id-0', 1, DAY_MS);
    expect(announcements.take()).toBeDefined();
  });
});

describe('the payload of an announcement', () => {
  test('is read as it was written, a little older and in whole milliseconds', () => {
    const text = writeAnnouncement({ id: '0194-ab_C', ageMs: 1000.25, wallMs: 1_767_225_600_000.75 });
    expect(text).toBe('2 0194-ab_C 1002 1767225600000');
    expect(readAnnouncement(Buffer.from(text))).toEqual({ id: '0194-ab_C', ageMs: 1002, wallMs: 1_767_225_600_000 });
  });

  test('of version 1 names a span by wall-clock times, whose length is the age', () => {
    expect(readAnnouncement(Buffer.from('1767225600000 1767225602500'))).toEqual({
      id: undefined,
      ageMs: 2500,
      wallMs: 1_767_225_600_000,
    });
  });

  test('is not one that a pod of version 1 would read', () => {
    const text = writeAnnouncement({ id: '1', ageMs: 1, wallMs: 2 });
    expect(/^(\d{1,15}) (\d{1,15})$/.test(text)).toBe(false);
  });

  test.each([
    '',
    'x',
    '2',
    '70 x',
    '-1 90',
    '1e3 1e9',
    '70 9000000000000000',
    '2 a 1',
    '3 a 1 2',
    '2 a -1 2',
    '2 a 1 2 3',
    '2 a b 1 2',
  ])('is not read from %j', (text) => {
    expect(readAnnouncement(Buffer.from(text))).toBeUndefined();
  });
});
