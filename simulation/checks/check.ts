import type { Config } from '../../src/config/config.js';
import type { Connection, FactObserver } from '../facts.js';
import type { MachineClock } from '../machine-clock.js';
import type { Plan } from '../plan.js';
import type { RedisDeployment } from '../redis-deployment.js';
import type { Environment } from './environment.js';

/** A guarantee of docs/protocol.md that the service broke. */
export interface Violation {
  /** The name of the check that found it. */
  readonly check: string;
  readonly atMs: number;
  readonly what: string;
  readonly connection: Connection | undefined;
}

export interface CheckOptions {
  readonly plan: Plan;
  readonly config: Config;
  readonly redis: RedisDeployment;
  /** The clocks of the pods' machines, by slot. */
  readonly clocks: readonly MachineClock[];
  readonly environment: Environment;
  readonly report: (what: string, connection?: Connection) => void;
  /** Counts a violation that a documented limit excuses. */
  readonly excuse: (what: string) => void;
}

/** Checks one guarantee of docs/protocol.md against the facts of a run. It knows nothing of the code. */
export type Check = FactObserver;

/** The Redis channel of a room. */
export function channelOf(room: string | undefined): string {
  return room === undefined || room === '' ? 'chat-api:global' : `chat-api:room:${room}`;
}
