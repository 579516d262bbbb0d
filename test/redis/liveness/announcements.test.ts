import { describe, expect, test } from '@jest/globals';
import { of } from 'rxjs';
import { Announcements } from '../../../src/redis/liveness/announcements.js';
import { writeAnnouncement } from '../../../src/redis/liveness/in-doubt.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 1_767_225_600_000;

/** A pod's announcements, and its clocks. */
function scene() {
  const clocks = { ms: 50_000.5, dayMs: DAY_MS };
  const announcements = new Announcements({
    scheduler: { now: () => clocks.ms, schedule: () => of().subscribe() },
    wallMs: () => clocks.dayMs,
  });
  const hear = (id: string, ageMs: number, wallMs: number, sentMs = clocks.ms) => {
    announcements.hear(Buffer.from(writeAnnouncement({ id, ageMs, wallMs })), sentMs);
  };
  return { clocks, announcements, hear };
}

describe('the announcement of another pod', () => {
  test.each([
    { what: 'equal', offMs: 0, since: DAY_MS - 1001 },
    { what: 'an hour ahead', offMs: HOUR_MS, since: DAY_MS - 1001 },
    { what: 'an hour behind', offMs: -HOUR_MS, since: DAY_MS - 1000 - HOUR_MS },
  ])('whose clock is $what: the gap is since its age or its own time, whichever is earlier', ({ offMs, since }) => {
    const { announcements, hear } = scene();
    hear('a', 1000, DAY_MS + offMs - 1000);
    expect(announcements.tell()).toBe(since);
  });

  test('is older by the time that it was under way', () => {
    const { announcements, hear, clocks } = scene();
    hear('a', 1000, DAY_MS + HOUR_MS, clocks.ms - 4000);
    expect(announcements.tell()).toBe(DAY_MS - 5001);
  });

  test('that waits to be told is as old as that makes it, also where the clock is set back meanwhile', () => {
    const { announcements, hear, clocks } = scene();
    hear('a', 1000, DAY_MS + HOUR_MS);
    clocks.ms += 300;
    clocks.dayMs += 300 - HOUR_MS;
    expect(announcements.tell()).toBe(DAY_MS - 1001 - HOUR_MS);
  });

  test('is told once, however often it comes, and with others as one gap', () => {
    const { announcements, hear } = scene();
    hear('a', 1000, DAY_MS);
    hear('b', 3000, DAY_MS);
    hear('b', 9000, DAY_MS);
    expect(announcements.tell()).toBe(DAY_MS - 3003);
    hear('a', 2500, DAY_MS);
    expect(announcements.tell()).toBeUndefined();
  });

  test('is forgotten after a hundred others', () => {
    const { announcements, hear } = scene();
    for (let nth = 0; nth <= 100; nth++) hear(`id-${nth}`, 1, DAY_MS);
    announcements.tell();
    hear('id-1', 1, DAY_MS);
    expect(announcements.tell()).toBeUndefined();
    hear('id-0', 1, DAY_MS);
    expect(announcements.tell()).toBeDefined();
  });
});
