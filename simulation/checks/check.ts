import type { Config } from '../../src/config/config.js';
import type { Connection, Witness } from '../facts.js';
import type { MachineClock } from '../machine-clock.js';
import type { Plan } from '../plan.js';
import type { RedisDeployment } from '../redis-deployment.js';
import type { Weather } from './weather.js';

/** A promise of the service that was not kept. */
export interface Violation {
  /** The check that saw it. */
  readonly check: string;
  readonly atMs: number;
  readonly what: string;
  readonly connection: Connection | undefined;
}

export interface CheckOptions {
  readonly plan: Plan;
  readonly config: Config;
  readonly redis: RedisDeployment;
  /** Of the pods' machines, by slot. */
  readonly clocks: readonly MachineClock[];
  readonly weather: Weather;
  readonly blame: (what: string, connection?: Connection) => void;
  /** Something that would be a violation but for one documented limit; it is counted. */
  readonly excuse: (what: string) => void;
}

/** Holds what happened against one promise of docs/protocol.md. It knows nothing of the code, only facts. */
export type Check = Witness;

/** The channel of a room, as docs/protocol.md has it. */
export function channelOf(room: string | undefined): string {
  return room === undefined || room === '' ? 'chat-api:global' : `chat-api:room:${room}`;
}
