import { defer, interval, share, tap, type Observable } from 'rxjs';
import type { Runtime } from '../runtime/runtime.js';

/** The pod's own pulse: one timer for the heartbeats of all connections, and the clock that they go by. */
export interface HeartbeatClock {
  readonly tick$: Observable<unknown>;
  /**
   * Time during which the pod has served, in milliseconds: it goes on by at most two ticks from one tick to the next. A process
   * that was stopped, or a machine that was moved, was not reading, and its clients' silence then is no fault of theirs.
   */
  readonly now: () => number;
}

const MAX_TICKS_PER_TICK = 2;

/** @param beaten called with each tick, before the connections look at the clock */
export function heartbeatClock({ scheduler }: Runtime, tickMs: number, beaten: () => void = () => undefined): HeartbeatClock {
  let servedMs = 0;
  let tickedMs = scheduler.now();
  const now = () => servedMs + Math.max(0, Math.min(scheduler.now() - tickedMs, MAX_TICKS_PER_TICK * tickMs));
  const tick$ = defer(() => {
    tickedMs = scheduler.now();
    return interval(tickMs, scheduler);
  }).pipe(
    tap(() => {
      servedMs = now();
      tickedMs = scheduler.now();
      beaten();
    }),
    share(),
  );
  return { tick$, now };
}
