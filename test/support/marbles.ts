import { expect } from '@jest/globals';
import { timer } from 'rxjs';
import { TestScheduler, type RunHelpers } from 'rxjs/testing';
import type { World } from '../../src/world.js';

/** Runs marbles in virtual time: one character is one millisecond. */
export function marbles(run: (helpers: RunHelpers, scheduler: TestScheduler) => void): void {
  const scheduler = new TestScheduler((actual, expected) => {
    expect(actual).toEqual(expected);
  });
  scheduler.run((helpers) => {
    run(helpers, scheduler);
  });
}

/** A world whose time is virtual, whose ids count up (`id-1`, `id-2`, …) and whose dice always show the same. */
export function virtualWorld(scheduler: TestScheduler, chance = 0.5): World {
  let ids = 0;
  return {
    scheduler,
    turnEnd$: timer(0, scheduler),
    newId: () => `id-${++ids}`,
    random: () => chance,
  };
}
