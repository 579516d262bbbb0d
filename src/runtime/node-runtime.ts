import { randomFillSync } from 'node:crypto';
import { Observable, asyncScheduler, type SchedulerLike } from 'rxjs';
import { v7 } from 'uuid';
import type { Runtime } from './runtime.js';

const ID_BYTES = 16;

/** Random bytes for many ids: one call costs more than its bytes do. */
const pool = Buffer.alloc(ID_BYTES * 512);
let used = pool.length;

function randomBytes(): Buffer {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  return pool.subarray(used, (used += ID_BYTES));
}

/** RxJS' own scheduler reads the machine's clock, which an operator or NTP may set. Its timers are monotonic already. */
const monotonicScheduler: SchedulerLike = {
  now: () => performance.timeOrigin + performance.now(),
  schedule: asyncScheduler.schedule.bind(asyncScheduler),
};

/** The runtime of the service: the system's clocks, Node's event loop, random ids and numbers. */
export const nodeRuntime: Runtime = {
  scheduler: monotonicScheduler,
  wallMs: () => Date.now(),
  // Not asapScheduler: its microtasks run before the other sockets of this turn are read.
  turnEnd$: new Observable((subscriber) => {
    const immediate = setImmediate(() => {
      subscriber.next(undefined);
      subscriber.complete();
    });
    return () => {
      clearImmediate(immediate);
    };
  }),
  newId: () => v7({ random: randomBytes() }),
  random: () => Math.random(),
};
