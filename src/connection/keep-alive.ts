import type { HeartbeatOptions } from '../operators/heartbeat.js';
import type { Limits } from './limits.js';
import type { HeartbeatClock } from './clock.js';
import { PING, type Alive, type Inbound, type Tick } from './transport.js';
import type { Runtime } from '../runtime/runtime.js';

/** The heartbeat of all connections of a pod (spec: "The life of a connection", 5). */
export type KeepAlive = HeartbeatOptions<Inbound, typeof PING, Tick, Alive>;

export function keepAlive({ pingIntervalMs, pongTimeoutMs }: Limits, { now }: HeartbeatClock, { random }: Runtime): KeepAlive {
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
 * How often connections look at the clock: often enough to be exact within a twenty-fifth of the ping interval and within a second
 * for a token's end, at most once in 10 ms.
 */
export function heartbeatTickMs({ pingIntervalMs }: Pick<Limits, 'pingIntervalMs'>): number {
  return Math.min(1000, Math.max(10, Math.floor(pingIntervalMs / 25)));
}
