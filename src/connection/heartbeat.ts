import { defer, interval, share, tap, type Observable } from 'rxjs';
import type { HeartbeatOptions } from '../operators/heartbeat.js';
import type { Runtime } from '../runtime/runtime.js';
import type { Limits } from './limits.js';
import { PING, type Alive, type Inbound, type Tick } from './transport.js';

/** The heartbeat of all connections of a pod (docs/protocol.md, "Heartbeat"). */
export type ConnectionHeartbeat = HeartbeatOptions<Inbound, typeof PING, Tick, Alive>;

/** The pod's one timer for the heartbeats of all connections, and the clock that they go by. */
export interface HeartbeatClock {
  readonly tick$: Observable<unknown>;
  /**
   * Time during which the pod has served, in milliseconds. It advances by at most two ticks from one tick to the next: a process
   * that was stopped, or a machine that was moved, did not read, so its clients were not silent.
   */
  readonly now: () => number;
}

const MAX_TICKS_PER_TICK = 2;

export function connectionHeartbeat(
  { pingIntervalMs, pongTimeoutMs }: Limits,
  { now }: HeartbeatClock,
  { random }: Runtime,
): ConnectionHeartbeat {
  return {
    now,
    firstPingMs: () => random() * pingIntervalMs,
    pingIntervalMs,
    pongTimeoutMs,
    ping: PING,
    isTick: (inbound) => inbound.kind === 'tick',
    isSignOfLife: (inbound) => inbound.kind === 'alive',
  };
}

/**
 * The interval of the clock's ticks: short enough to be exact within a twenty-fifth of the ping interval and within a second for
 * the expiry of a token, and at least 10 ms.
 */
export function heartbeatTickMs({ pingIntervalMs }: Pick<Limits, 'pingIntervalMs'>): number {
  return Math.min(1000, Math.max(10, Math.floor(pingIntervalMs / 25)));
}

/** @param beaten called at each tick, before the connections look at the clock */
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
