import { Observable, asyncScheduler } from 'rxjs';
import { v7 } from 'uuid';
import type { World } from './world.js';

/** The real world: the system's clock, Node's event loop, random ids and real chance. */
export const nodeWorld: World = {
  scheduler: asyncScheduler,
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
  newId: () => v7(),
  random: () => Math.random(),
};
