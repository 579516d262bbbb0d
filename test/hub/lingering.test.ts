import { describe, expect, test } from '@jest/globals';
import type { TestScheduler } from 'rxjs/testing';
import { timer } from 'rxjs';
import { Lingering } from '../../src/hub/lingering.js';
import { Room } from '../../src/hub/room.js';
import { marbles } from '../support/marbles.js';

const LINGER_MS = 1000;

function roomOf(name: string): Room {
  return new Room(name, { confirmed: () => undefined, refused: () => undefined });
}

/** Rooms that linger, as the hub keeps them, and what was ended, as `{name} at {ms}`. */
function linger(scheduler: TestScheduler) {
  const ended: string[] = [];
  const lingering = new Lingering(LINGER_MS, scheduler, (room) => {
    lingering.delete(room);
    ended.push(`${room.name} at ${scheduler.now()}`);
  });
  const at = (ms: number, act: () => void) => {
    timer(ms, scheduler).subscribe(act);
  };
  return { lingering, ended, at };
}

describe('lingering rooms', () => {
  test('end each when its time is over, in the order in which they were left', () => {
    marbles(({ flush }, scheduler) => {
      const { lingering, ended, at } = linger(scheduler);
      for (const [nth, name] of ['b', 'a', 'c'].entries())
        at(nth * 10, () => {
          lingering.add(roomOf(name));
        });
      flush();
      expect(ended).toEqual(['b at 1000', 'a at 1010', 'c at 1020']);
    });
  });

  test('have one timer for all of them, and none when none lingers', () => {
    marbles(({ flush }, scheduler) => {
      const { lingering, at } = linger(scheduler);
      const rooms = Array.from({ length: 100 }, (_, nth) => roomOf(String(nth)));
      for (const room of rooms) lingering.add(room);
      expect(scheduler.actions).toHaveLength(1);
      expect(lingering.size).toBe(100);
      at(5, () => {
        for (const room of rooms) lingering.delete(room);
        expect(scheduler.actions).toEqual([]);
      });
      flush();
    });
  });

  test('that are used again do not end, nor does their timer end the next early', () => {
    marbles(({ flush }, scheduler) => {
      const { lingering, ended, at } = linger(scheduler);
      const [first, second] = [roomOf('first'), roomOf('second')];
      lingering.add(first);
      at(500, () => {
        lingering.add(second);
      });
      at(600, () => {
        lingering.delete(first);
      });
      flush();
      expect(ended).toEqual(['second at 1500']);
    });
  });

  test('that are left once more begin anew, behind the others', () => {
    marbles(({ flush }, scheduler) => {
      const { lingering, ended, at } = linger(scheduler);
      const [first, second] = [roomOf('first'), roomOf('second')];
      lingering.add(first);
      lingering.add(second);
      at(100, () => {
        lingering.delete(first);
        lingering.add(first);
      });
      flush();
      expect(ended).toEqual(['second at 1000', 'first at 1100']);
    });
  });

  test('end a thousand a turn', () => {
    marbles(({ flush }, scheduler) => {
      const turns: number[] = [];
      const lingering = new Lingering(LINGER_MS, scheduler, (room) => {
        lingering.delete(room);
        turns[turns.length - 1] = (turns.at(-1) ?? 0) + 1;
      });
      for (let nth = 0; nth < 2500; nth++) lingering.add(roomOf(String(nth)));
      // A turn is one action of the scheduler.
      const schedule = scheduler.schedule.bind(scheduler);
      scheduler.schedule = ((...args: Parameters<typeof schedule>) => {
        turns.push(0);
        return schedule(...args);
      }) as typeof schedule;
      turns.push(0);
      flush();
      expect(turns.filter((count) => count > 0)).toEqual([1000, 1000, 500]);
      expect(lingering.size).toBe(0);
    });
  });

  test('can be ended before their time, the longest left first', () => {
    marbles(({ flush }, scheduler) => {
      const { lingering, ended } = linger(scheduler);
      for (const name of ['a', 'b', 'c']) lingering.add(roomOf(name));
      lingering.endOldest(0);
      lingering.endOldest(-1);
      expect(ended).toEqual([]);
      lingering.endOldest(2);
      expect(ended).toEqual(['a at 0', 'b at 0']);
      flush();
      expect(ended).toEqual(['a at 0', 'b at 0', 'c at 1000']);
    });
  });

  test('leave no timer when they are stopped, though the end of one left another', () => {
    marbles(({ flush }, scheduler) => {
      const lingering = new Lingering(LINGER_MS, scheduler, (room) => {
        lingering.delete(room);
        if (room.name === 'first') lingering.add(roomOf('left by its end'));
      });
      lingering.add(roomOf('first'));
      timer(1, scheduler).subscribe(() => {
        lingering.add(roomOf('second'));
      });
      timer(1000, scheduler).subscribe(() => {
        expect(scheduler.actions).toHaveLength(1);
        lingering.stop();
        expect(scheduler.actions).toEqual([]);
      });
      flush();
      expect(lingering.size).toBe(2);
    });
  });
});
