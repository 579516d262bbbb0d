import { describe, expect, test } from '@jest/globals';
import { of } from 'rxjs';
import {
  earlierReading,
  earliestWallMs,
  readingBefore,
  readClocks,
  type Clocks,
} from '../../../src/redis/liveness/clock-reading.js';

/** A machine whose clocks show what a test says. */
class Machine implements Clocks {
  ms = 5000;
  dayMs = 1_767_225_600_000;
  readonly scheduler = { now: () => this.ms, schedule: () => of().subscribe() };
  readonly wallMs = () => this.dayMs;

  pass(ms: number): void {
    this.ms += ms;
    this.dayMs += ms;
  }
}

describe('a moment', () => {
  test('is what both clocks show', () => {
    expect(readClocks(new Machine())).toEqual({ ms: 5000, wallMs: 1_767_225_600_000 });
  });

  test('moves by both clocks', () => {
    expect(readingBefore({ ms: 5000, wallMs: 90_000 }, 300)).toEqual({ ms: 4700, wallMs: 89_700 });
  });

  test('and another one make the earlier of both, by each clock', () => {
    expect(earlierReading({ ms: 10, wallMs: 900 }, { ms: 20, wallMs: 800 })).toEqual({ ms: 10, wallMs: 800 });
  });
});

describe('the time of day of a past moment', () => {
  test.each([
    { what: 'as it is', setByMs: 0, earlierByMs: 0 },
    { what: 'forward', setByMs: 3_600_000, earlierByMs: 0 },
    { what: 'back', setByMs: -3_600_000, earlierByMs: 3_600_000 },
  ])('is the earlier of both readings where the clock was set $what since', ({ setByMs, earlierByMs }) => {
    const machine = new Machine();
    const moment = readClocks(machine);
    machine.pass(700);
    machine.dayMs += setByMs;
    expect(earliestWallMs(moment, machine)).toBe(moment.wallMs - earlierByMs);
  });
});
