import { readConfig, type Config } from '../src/config/config.js';
import type { RedisLinkOptions } from '../src/redis/link.js';
import { SeededRandom } from './seeded-random.js';
import { SimulatedClient } from './client.js';
import { Facts, type Connection, type FactObserver } from './facts.js';
import { injectFault, type Machines } from './faults.js';
import { MachineClock } from './machine-clock.js';
import { Lane } from './network.js';
import { START_MS, type ClientPlan, type Fault, type Plan, type RedisKind } from './plan.js';
import { SimulatedPod } from './pod.js';
import { redisConnection$, type RedisConnection, type Route } from './redis-connection.js';
import { RedisClustered } from './redis-clustered.js';
import type { DeploymentOptions, RedisDeployment } from './redis-deployment.js';
import { RedisPair } from './redis-pair.js';
import { RedisWatched } from './redis-watched.js';
import { Service } from './service.js';
import type { Reader, SimulatedSocket } from './socket.js';
import { Timeline, VirtualScheduler } from '../src/testing/virtual-scheduler.js';

/** Everybody comes within this. */
const ARRIVAL_MS = 2000;

/** Within this after the end of all faults, all must be well again: found, retried, connected, subscribed, told. */
export const RECOVERY_MS = 15_000;
/** The last words have time to arrive, or to fail. */
const LAST_WORDS_MS = 5000;
/** What went to nobody's end is found by a heartbeat: the timeout, a tick, and a close that is not answered. */
const FAREWELL_MS = 6000;
/** Longer than a room lingers. */
const LINGER_MS = 3000;
const CHANNEL_PREFIX = 'chat-api';

/** What those who watch may know of the machines. */
export interface Scene {
  readonly redis: RedisDeployment;
  /** Of the pods' machines, by slot. */
  readonly clocks: readonly MachineClock[];
  readonly now: () => number;
}

/** A whole deployment, its clients and its misfortunes, in one process and in virtual time. */
export class Simulation {
  readonly redis: RedisDeployment;
  readonly facts: Facts;
  readonly #plan: Plan;
  readonly #config: Config;
  readonly #random: SeededRandom;
  readonly #scheduler = new VirtualScheduler(START_MS);
  /** Everything that is no pod: clients, Redis, those who do harm. */
  readonly #outside: Timeline;
  readonly #clocks: readonly MachineClock[];
  readonly #routes: readonly Route[];
  readonly #links: readonly Set<RedisConnection>[];
  /** The pods of a slot that are there: the last is the one that lets in. */
  readonly #pods: SimulatedPod[][];
  readonly #clients: readonly SimulatedClient[];
  readonly #mend = new Set<() => void>();
  readonly #machines: Machines;
  #lives = 0;
  #connections = 0;
  #promised = false;

  constructor(plan: Plan, witnesses: (scene: Scene) => readonly FactObserver[]) {
    this.#plan = plan;
    this.#random = new SeededRandom(plan.settings.seed).fork('run');
    this.#outside = new Timeline(this.#scheduler);
    const watching: FactObserver[] = [];
    const now = () => this.#scheduler.now();
    this.facts = new Facts(now, watching);
    this.redis = deploy(plan.redis, {
      timeline: this.#outside,
      facts: this.facts,
      random: this.#random.fork('redis'),
      outputBuffer: plan.outputBuffer,
    });
    this.#config = readConfig({ ...plan.environment, ...this.redis.environment, REDIS_CHANNEL_PREFIX: CHANNEL_PREFIX });
    const slots = Array.from({ length: plan.settings.pods }, (_, slot) => slot);
    this.#clocks = slots.map((slot) => new MachineClock(START_MS, this.#random.fork(`clock ${slot}`)));
    watching.push(...witnesses({ redis: this.redis, clocks: this.#clocks, now }));
    this.#routes = slots.map((slot) => this.#route(this.#random.fork(`route ${slot}`)));
    this.#links = slots.map(() => new Set());
    this.#pods = slots.map(() => []);
    this.#clients = plan.clients.map((client) => this.#client(client));
    this.#machines = this.#makeMachines();
  }

  /** Plays it to its end: misfortunes, calm, farewell. */
  async run(): Promise<void> {
    const { durationMs, faults, settings } = this.#plan;
    const service = new Service(this.redis, this.#outside, this.#random.fork('service'), this.#plan);
    for (let slot = 0; slot < settings.pods; slot++) this.#start(slot);
    for (const client of this.#clients) client.connectWithin(ARRIVAL_MS);
    for (const fault of faults) {
      this.#outside.schedule(() => {
        this.#befall(fault);
      }, fault.atMs);
    }
    await this.#pass(durationMs);
    for (const mend of [...this.#mend]) mend();
    await this.#pass(RECOVERY_MS);
    service.end();
    for (const client of this.#clients) client.stopSending();
    await this.#pass(LAST_WORDS_MS);
    this.facts.record({ kind: 'calm' });
    for (const client of this.#clients) client.leave();
    await this.#pass(FAREWELL_MS + this.#config.pongTimeoutMs + this.#config.pingIntervalMs);
    await this.#pass(LINGER_MS);
    this.facts.record({ kind: 'calm' });
    this.#inspectRooms();
    const last = this.#pods.flat();
    for (const pod of last) pod.close(() => undefined);
    await this.#pass(this.#config.shutdownDelayMs + LINGER_MS);
    this.#inspectPods(last);
    await unhandled();
  }

  async #pass(ms: number): Promise<void> {
    const untilMs = this.#scheduler.now() + ms;
    while (this.#scheduler.step(untilMs)) {
      if (!this.#promised) continue;
      this.#promised = false;
      // What waits for a promise has its turn before anything else happens, as it would.
      await settled();
    }
    this.#scheduler.pass(untilMs);
  }

  #route(random: SeededRandom): Route {
    const latencyMs = () => random.integer(0, 3);
    return { up: new Lane(latencyMs), down: new Lane(latencyMs) };
  }

  #client(plan: ClientPlan): SimulatedClient {
    const random = this.#random.fork(`client ${plan.index}`);
    return new SimulatedClient({
      plan,
      random,
      timeline: this.#outside,
      facts: this.facts,
      globalShare: Math.min(0.03, 5 / this.#plan.settings.connections / this.#plan.settings.minutes),
      enter: (client, reader) => this.#enter(client, reader, random),
    });
  }

  /** As a load balancer does: to one of the pods that are ready, or else to any. */
  #enter(client: ClientPlan, reader: Reader, random: SeededRandom): SimulatedSocket | undefined {
    const open = this.#pods.map((pods) => pods.at(-1)).filter((pod) => pod !== undefined && !pod.isDraining);
    const ready = open.filter((pod) => pod?.isReady);
    const from = ready.length > 0 ? ready : open;
    const pod = from[Math.floor(random.next() * from.length)];
    if (pod === undefined) return undefined;
    const made: Connection = { number: (this.#connections += 1), client, pod: pod.name, openedMs: this.#scheduler.now() };
    return pod.open(made, reader, this.#outside);
  }

  #start(slot: number): void {
    const name = { slot, life: (this.#lives += 1) };
    const timeline = new Timeline(this.#scheduler);
    const route = this.#routes[slot];
    const links = this.#links[slot];
    const clock = this.#clocks[slot];
    if (route === undefined || links === undefined || clock === undefined) return;
    const connect = ({ address: { host, port } }: RedisLinkOptions) =>
      redisConnection$(
        () => ({
          server: this.redis.at(`${host}:${port}`),
          route,
          timeline,
          outside: this.#outside,
          promised: () => {
            this.#promised = true;
          },
          facts: this.facts,
          pod: name,
        }),
        links,
      );
    const random = this.#random.fork(`pod ${slot} ${name.life}`);
    const pod = new SimulatedPod({ name, timeline, random, config: this.#config, facts: this.facts, connect, clock });
    this.#pods[slot]?.push(pod);
  }

  #befall(fault: Fault): void {
    this.facts.record({ kind: 'fault', fault, phase: 'begins' });
    const end = injectFault(fault, this.#machines, this.#random.fork(`fault ${fault.index}`));
    const mend = () => {
      if (!this.#mend.delete(mend)) return;
      ending.unsubscribe();
      end();
      this.facts.record({ kind: 'fault', fault, phase: 'ends' });
    };
    this.#mend.add(mend);
    const ending = this.#outside.schedule(mend, fault.lastsMs);
  }

  #makeMachines(): Machines {
    return {
      redis: this.redis,
      rooms: this.#plan.rooms,
      routes: this.#routes,
      links: (slot) => [...(this.#links[slot] ?? [])].sort((a, b) => Number(b.isSubscribed) - Number(a.isSubscribed)),
      drain: (slot) => {
        const pod = this.#pods[slot]?.at(-1);
        pod?.close(() => {
          this.#gone(slot, pod);
        });
        this.#start(slot);
      },
      crash: (slot, backInMs) => {
        for (const pod of this.#pods[slot] ?? []) pod.kill();
        for (const link of this.#links[slot] ?? []) link.kill();
        this.#links[slot]?.clear();
        this.#pods[slot]?.splice(0);
        const back = () => {
          if (!this.#mend.delete(back)) return;
          if (this.#pods[slot]?.length === 0) this.#start(slot);
        };
        this.#mend.add(back);
        this.#outside.schedule(back, backInMs);
      },
      setClock: (slot, random) => {
        this.#clocks[slot]?.set(this.#scheduler.now(), random);
      },
      stall: (slot, ms) => {
        const untilMs = this.#scheduler.now() + ms;
        // A second stall ends none before its time: what waits for that would be overtaken.
        for (const { timeline } of this.#pods[slot] ?? []) timeline.stalledUntilMs = Math.max(timeline.stalledUntilMs, untilMs);
      },
    };
  }

  #gone(slot: number, pod: SimulatedPod): void {
    const pods = this.#pods[slot];
    pods?.splice(pods.indexOf(pod), 1);
    // What was under way when the pod said it was done arrives at nobody.
    this.#outside.schedule(() => {
      this.#inspectPod(pod);
    }, LINGER_MS);
  }

  /** Everybody has left, and long enough ago. */
  #inspectRooms(): void {
    for (const pod of this.#pods.flat()) {
      if (pod.sockets.size > 0) this.#leftOver(`${pod.sockets.size} connections`);
      if (pod.rooms !== 0) this.#leftOver(`${pod.rooms} rooms counted`);
    }
    const rooms = new Set(this.redis.servers.flatMap(({ clients }) => [...clients].flatMap(({ subscribed }) => [...subscribed])));
    for (const channel of rooms)
      if (channel.startsWith(`${CHANNEL_PREFIX}:room:`)) this.#leftOver(`a subscription to ${channel}`);
  }

  #inspectPods(pods: readonly SimulatedPod[]): void {
    for (const pod of pods) this.#inspectPod(pod);
    const links = this.#links.reduce((sum, { size }) => sum + size, 0);
    if (links > 0) this.#leftOver(`${links} connections to Redis`);
    const clients = this.redis.servers.reduce((sum, server) => sum + server.clients.size, 0);
    if (clients > 0) this.#leftOver(`${clients} clients of Redis`);
    if (this.#outside.pending > 0) this.#leftOver(`${this.#outside.pending} timers of the simulation's own`);
  }

  #inspectPod({ timeline, name }: SimulatedPod): void {
    if (timeline.pending > 0) this.#leftOver(`${timeline.pending} timers of pod ${name.slot}/${name.life}`);
  }

  #leftOver(what: string): void {
    this.facts.record({ kind: 'left-over', what });
  }
}

function deploy(kind: RedisKind, options: DeploymentOptions): RedisDeployment {
  switch (kind) {
    case 'single':
      return new RedisPair(options);
    case 'sentinel':
      return new RedisWatched(options);
    case 'cluster':
      return new RedisClustered(options);
  }
}

/** Resolves when all promises have told those who wait for them. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** RxJS tells of errors that nobody caught from a timer of its own. */
function unhandled(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}
