import { randomFillSync } from 'node:crypto';
import { Observable, asyncScheduler, type SchedulerLike } from 'rxjs';
import { v7 } from 'uuid';
import type { Runtime } from './runtime.js';

const ID_BYTES = 16;

/** Random bytes are asked for many ids at once: asking costs more than the bytes do. */
const pool = Buffer.alloc(ID_BYTES * 512);
let used = pool.length;

function randomBytes(): Buffer {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  return pool.subarray(used, (used += ID_BYTES));
}

/** RxJS' own scheduler reads the machine's clock, which an operator or NTP may set; its timers do not. */
const monotonicScheduler: SchedulerLike = {
  now: () => performance.timeOrigin + performance.now(),
  schedule: asyncScheduler.schedule.bind(asyncScheduler),
};

/** The real runtime: the system's clock, Node's event loop, random ids and real chance. */
export const nodeRuntime: Runtime = {
  scheduler: monotonicScheduler,
  wallMs: () => Date.now(),
  // asapScheduler would be a microtask, which comes before the other sockets of this turn were read.
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
