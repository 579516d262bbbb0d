import { readConfig } from '../../src/config/config.js';
import type { Envelope } from '../../src/protocol/protocol.js';
import { SeededRandom } from '../../simulation/seeded-random.js';
import type { Check, CheckOptions } from '../../simulation/checks/check.js';
import { Environment } from '../../simulation/checks/environment.js';
import { Facts, type Connection, type Fact, type PodName, type FactObserver } from '../../simulation/facts.js';
import { MachineClock } from '../../simulation/machine-clock.js';
import { START_MS, planOf } from '../../simulation/plan.js';
import { RedisPair } from '../../simulation/redis-pair.js';
import type { RedisServer } from '../../simulation/redis-server.js';
import { Timeline, VirtualScheduler } from '../../src/testing/virtual-scheduler.js';

export const ROOM = 'room-0';
export const CHANNEL = `chat-api:room:${ROOM}`;

/** One check of the simulation and a Redis, to which a test tells facts at times of its own. */
export class CheckStage {
  readonly blamed: string[] = [];
  readonly excused: string[] = [];
  readonly #scheduler = new VirtualScheduler(START_MS);
  readonly #facts: Facts;
  readonly #redis: RedisPair;
  readonly #clocks = [0, 1].map((slot) => new MachineClock(START_MS, new SeededRandom(slot)));
  #connections = 0;
  #ids = 0;

  constructor(makeCheck: (options: CheckOptions) => Check) {
    const witnesses: FactObserver[] = [];
    this.#facts = new Facts(() => this.#scheduler.now(), witnesses);
    const plan = planOf({ seed: 1, pods: 2, connections: 2, minutes: 1, redis: 'single' });
    const timeline = new Timeline(this.#scheduler);
    this.#redis = new RedisPair({ timeline, facts: this.#facts, random: new SeededRandom(1), outputBuffer: plan.outputBuffer });
    const environment = new Environment(0);
    const check = makeCheck({
      plan,
      config: readConfig({}),
      redis: this.#redis,
      clocks: this.#clocks,
      environment: environment,
      report: (what) => this.blamed.push(what),
      excuse: (what) => this.excused.push(what),
    });
    witnesses.push(environment, check);
  }

  /** What follows happens so many milliseconds after the start. */
  at(ms: number): this {
    this.#scheduler.pass(START_MS + ms);
    return this;
  }

  tell(fact: Fact): void {
    this.#facts.record(fact);
  }

  /** A connection that is in the room, and has heard its welcome. */
  opens(slot: number): Connection {
    const client = { index: slot, rooms: [ROOM], habit: 'steady', talksEveryMs: 1000, contentBytes: 10 } as const;
    const connection = { number: (this.#connections += 1), client, pod: podAt(slot), openedMs: this.#scheduler.now() };
    this.tell({ kind: 'opened', connection });
    this.hears(connection, this.system(slot, { event: 'welcome' }));
    return connection;
  }

  says(connection: Connection, id: string): void {
    this.tell({ kind: 'said', connection, id, room: ROOM });
  }

  /** Redis takes an envelope that the first pod sent so many milliseconds after the start. */
  takes(envelope: Envelope, sentMs: number): void {
    this.#take(this.#redis.victim(), envelope, sentMs);
  }

  /** A replica does. */
  misplaces(envelope: Envelope, sentMs: number): void {
    for (const server of this.#redis.servers) if (server !== this.#redis.victim()) this.#take(server, envelope, sentMs);
  }

  /** A publish of the first pod's presence begins or ends. */
  publishing(id: string, change: 1 | -1, clientId: string, isAnswered = false): void {
    const said = { channel: CHANNEL, id, from: 'server', clientId };
    this.tell({ kind: 'publishing', pod: podAt(0), ...said, change, tookMs: 0, isAnswered });
  }

  hears(connection: Connection, message: Envelope): void {
    this.tell({ kind: 'heard', connection, message, writtenMs: this.#scheduler.now(), late: false });
  }

  ends(connection: Connection, unread: number): void {
    this.tell({ kind: 'ended', connection, code: 1000, unread });
  }

  /** A gap that reaches back to so many milliseconds after the start, by the clock of its pod. */
  gap(slot: number, sinceMs: number): Envelope {
    const since = new Date(this.#clocks[slot]?.at(START_MS + sinceMs) ?? 0).toISOString();
    return this.system(slot, { event: 'gap', reason: 'subscription', since });
  }

  error(slot: number, ref: string): Envelope {
    return { ...this.system(slot, { code: 'unconfirmed', ref }), type: 'error' };
  }

  system(slot: number, data: object): Envelope {
    return { id: this.newId(slot), type: 'system', from: 'server', data, timestamp: '' };
  }

  #take(server: RedisServer, envelope: Envelope, sentMs: number): void {
    const source = { pod: podAt(0), sentMs: START_MS + sentMs };
    this.#redis.published(server, CHANNEL, JSON.stringify(envelope), source);
  }

  /** As a pod makes it now. */
  newId(slot: number): string {
    const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
    const madeMs = this.#scheduler.now() - START_MS;
    return `${hex(slot + 1, 4)}0000-0000-7000-8000-${hex(madeMs, 8)}${hex((this.#ids += 1), 4)}`;
  }
}

export function podAt(slot: number): PodName {
  return { slot, life: slot + 1 };
}
