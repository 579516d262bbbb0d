import { timer, type SchedulerLike } from 'rxjs';
import type { Runtime } from '../runtime/runtime.js';

/**
 * A runtime for tests: time is that of a scheduler, ids count up (`id-1`, `id-2`, …), and the dice always show the same.
 *
 * @param scheduler virtual time: RxJS' `TestScheduler`, or any other
 * @param chance what `random` gives, from 0 up to, and without, 1
 */
export function virtualRuntime(scheduler: SchedulerLike, chance = 0.5): Runtime {
  let ids = 0;
  return {
    scheduler,
    wallMs: () => scheduler.now(),
    turnEnd$: timer(0, scheduler),
    newId: () => `id-${(ids += 1)}`,
    random: () => chance,
  };
}
