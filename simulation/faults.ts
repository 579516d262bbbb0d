import type { SeededRandom } from './seeded-random.js';
import type { Lane } from './network.js';
import type { Fault, FaultKind } from './plan.js';
import type { RedisConnection, Route } from './redis-connection.js';
import type { RedisDeployment } from './redis-deployment.js';
import type { RedisServer } from './redis-server.js';

/** The machines and networks that faults are injected into. */
export interface Machines {
  readonly redis: RedisDeployment;
  /** The busiest rooms. */
  readonly rooms: readonly [string, ...string[]];
  /** The routes between pods and Redis, by slot. */
  readonly routes: readonly Route[];
  /** The current connections of a slot to Redis, subscriptions first. */
  links(slot: number): readonly RedisConnection[];
  /** Drains the pod of a slot; another pod replaces it. */
  drain(slot: number): void;
  /** Kills the pod of a slot; another pod replaces it later. */
  crash(slot: number, backInMs: number): void;
  stall(slot: number, ms: number): void;
  /** Sets the clock of a slot's machine. */
  setClock(slot: number, random: SeededRandom): void;
}

/** What a fault affects, and its random numbers. */
interface FaultScope {
  readonly machines: Machines;
  readonly random: SeededRandom;
  readonly fault: Fault;
  readonly redis: RedisDeployment;
  readonly master: RedisServer;
  readonly route: Route | undefined;
  /** The slot's connections to Redis, its subscription first. */
  readonly links: readonly RedisConnection[];
}

/** Injects a fault. @returns ends it */
export function injectFault(fault: Fault, machines: Machines, random: SeededRandom): () => void {
  const { slot } = fault;
  const { redis } = machines;
  const scene = {
    machines,
    random,
    fault,
    redis,
    master: redis.victim(),
    route: machines.routes[slot],
    links: machines.links(slot),
  };
  return FAULTS[fault.kind](scene) ?? nothing;
}

const FAULTS: Readonly<Record<FaultKind, (scene: FaultScope) => (() => void) | undefined>> = {
  'redis-restart': ({ redis, master, random }) => {
    master.die(random.happens(0.5));
    return () => {
      redis.restart(master);
    };
  },
  'redis-stop': ({ master }) => {
    master.stop();
    return () => {
      master.goOn();
    };
  },
  'redis-full': ({ master, redis, machines, random }) => {
    master.full = true;
    // The open connections stay, except one.
    disconnect(redis, machines.links(random.integer(0, machines.routes.length - 1)).slice(0, 1));
    return () => {
      master.full = false;
    };
  },
  'redis-refuses': ({ master }) => {
    master.refusesPublishes = true;
    return () => {
      master.refusesPublishes = false;
    };
  },
  failover: ({ master, redis, random }) => {
    master.die(random.happens(0.5));
    return () => {
      redis.failOver(master);
    };
  },
  demotion: ({ redis, master }) => {
    redis.demote(master);
    return undefined;
  },
  'slot-move': ({ redis, random, machines }) => {
    redis.moveSlot(`chat-api:room:${random.pick(machines.rooms)}`);
    return undefined;
  },
  'bus-cut': ({ redis, master }) => redis.cutBus(master),
  'sentinels-down': ({ redis }) => redis.silence(),
  'kill-links': ({ redis, links, random }) => {
    disconnect(redis, random.happens(0.5) ? links : links.filter(() => random.happens(0.5)));
    return undefined;
  },
  overflow: ({ route, redis, links }) =>
    overflow(route?.down, () => {
      disconnect(redis, links.slice(0, 1), true);
    }),
  'deaf-link': ({ links: [subscription] }) => {
    if (subscription?.isSubscribed) subscription.deaf = true;
    return undefined;
  },
  'mute-links': ({ links, random }) => {
    for (const link of random.happens(0.5) ? links.slice(1) : links) link.mute = true;
    return undefined;
  },
  partition: ({ route }) => block(route ? [route.up, route.down] : []),
  'half-partition': ({ route, random }) => block(route ? [random.happens(0.5) ? route.up : route.down] : []),
  'slow-link': ({ route, random }) => slow(route, random.integer(50, 1500)),
  'thin-line': ({ route, random }) => limitBandwidth(route, random),
  'clock-set': ({ machines, fault, random }) => {
    machines.setClock(fault.slot, random);
    return undefined;
  },
  drain: ({ machines, fault }) => {
    machines.drain(fault.slot);
    return undefined;
  },
  crash: ({ machines, fault }) => {
    machines.crash(fault.slot, fault.lastsMs);
    return undefined;
  },
  stall: ({ machines, fault }) => {
    machines.stall(fault.slot, fault.lastsMs);
    return undefined;
  },
};

function nothing(): void {
  // The code under test ends it.
}

function disconnect({ servers }: RedisDeployment, links: readonly RedisConnection[], reset = false): void {
  for (const link of links) for (const server of servers) if (server.clients.has(link)) server.hangUp(link, reset);
}

/** Makes Redis' output buffer of a subscriber grow until Redis drops the subscriber. */
function overflow(down: Lane | undefined, hangUp: () => void): () => void {
  down?.block();
  return () => {
    hangUp();
    down?.release();
  };
}

function block(lanes: readonly Lane[]): () => void {
  for (const lane of lanes) lane.block();
  return () => {
    for (const lane of lanes) lane.release();
  };
}

/** Limits the bandwidth, to that of a modem or of a busy line. */
const THIN = [1500, 6000, 25_000, 100_000] as const;

function limitBandwidth(route: Route | undefined, random: SeededRandom): () => void {
  const lanes = route ? random.pick([[route.up], [route.down], [route.up, route.down]]) : [];
  const bytesPerSecond = random.pick(THIN);
  const widen = lanes.map((lane) => lane.narrow(bytesPerSecond));
  return () => {
    for (const end of widen) end();
  };
}

function slow(route: Route | undefined, ms: number): () => void {
  const lanes = route ? [route.up, route.down] : [];
  for (const lane of lanes) lane.extraMs += ms;
  return () => {
    for (const lane of lanes) lane.extraMs -= ms;
  };
}
