import { describe, expect, test } from '@jest/globals';
import { of } from 'rxjs';
import {
  earlierReading,
  earliestWallMs,
  readingBefore,
  readClocks,
  type Clocks,
} from '../../../src/redis/liveness/clock-reading.js';

/** A machine with clocks that a test sets. */
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

describe('a clock reading', () => {
  test('has the time of both clocks', () => {
    expect(readClocks(new Machine())).toEqual({ ms: 5000, wallMs: 1_767_225_600_000 });
  });

  test('is moved back by both clocks', () => {
    expect(readingBefore({ ms: 5000, wallMs: 90_000 }, 300)).toEqual({ ms: 4700, wallMs: 89_700 });
  });

  test('and another have an earlier one, for each clock by itself', () => {
    expect(earlierReading({ ms: 10, wallMs: 900 }, { ms: 20, wallMs: 800 })).toEqual({ ms: 10, wallMs: 800 });
  });
});

describe('the wall-clock time of a past reading', () => {
  test.each([
    { what: 'as it is', setByMs: 0, earlierByMs: 0 },
    { what: 'forward', setByMs: 3_600_000, earlierByMs: 0 },
    { what: 'back', setByMs: -3_600_000, earlierByMs: 3_600_000 },
  ])('is the earlier one if the wall clock was set since: $what', ({ setByMs, earlierByMs }) => {
    const machine = new Machine();
    const reading = readClocks(machine);
    machine.pass(700);
    machine.dayMs += setByMs;
    expect(earliestWallMs(reading, machine)).toBe(reading.wallMs - earlierByMs);
  });
});
