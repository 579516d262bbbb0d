import type { Chance } from './chance.js';
import type { Lane } from './network.js';
import type { Fault, FaultKind } from './plan.js';
import type { RedisConnection, Route } from './redis-connection.js';
import type { RedisDeployment } from './redis-deployment.js';
import type { RedisServer } from './redis-server.js';

/** What faults befall. */
export interface Machines {
  readonly redis: RedisDeployment;
  /** The busiest ones. */
  readonly rooms: readonly [string, ...string[]];
  /** The ways between pods and Redis, by slot. */
  readonly routes: readonly Route[];
  /** The connections of a slot to Redis at present, subscriptions first. */
  links(slot: number): readonly RedisConnection[];
  /** The pod of a slot is asked to go, and another one takes its place. */
  drain(slot: number): void;
  /** The pod of a slot dies; another one comes some time later. */
  crash(slot: number, backInMs: number): void;
  stall(slot: number, ms: number): void;
  /** The clock of the machine of a slot is set. */
  setClock(slot: number, chance: Chance): void;
}

/** A fault under way: who suffers, and where chance decides. */
interface Scene {
  readonly machines: Machines;
  readonly chance: Chance;
  readonly fault: Fault;
  readonly redis: RedisDeployment;
  readonly master: RedisServer;
  readonly route: Route | undefined;
  /** Of the slot, its subscription first. */
  readonly links: readonly RedisConnection[];
}

/** Makes a fault happen; returns what ends it. */
export function befall(fault: Fault, machines: Machines, chance: Chance): () => void {
  const { slot } = fault;
  const { redis } = machines;
  const scene = {
    machines,
    chance,
    fault,
    redis,
    master: redis.victim(),
    route: machines.routes[slot],
    links: machines.links(slot),
  };
  return FAULTS[fault.kind](scene) ?? nothing;
}

const FAULTS: Readonly<Record<FaultKind, (scene: Scene) => (() => void) | undefined>> = {
  'redis-restart': ({ redis, master, chance }) => {
    master.die(chance.happens(0.5));
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
  'redis-full': ({ master, redis, machines, chance }) => {
    master.full = true;
    // Those that are connected stay, but for one.
    throwOut(redis, machines.links(chance.integer(0, machines.routes.length - 1)).slice(0, 1));
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
  failover: ({ master, redis, chance }) => {
    master.die(chance.happens(0.5));
    return () => {
      redis.failOver(master);
    };
  },
  demotion: ({ redis, master }) => {
    redis.demote(master);
    return undefined;
  },
  'slot-move': ({ redis, chance, machines }) => {
    redis.moveSlot(`chat-api:room:${chance.pick(machines.rooms)}`);
    return undefined;
  },
  'bus-cut': ({ redis, master }) => redis.cutBus(master),
  'sentinels-down': ({ redis }) => redis.silence(),
  'kill-links': ({ redis, links, chance }) => {
    throwOut(redis, chance.happens(0.5) ? links : links.filter(() => chance.happens(0.5)));
    return undefined;
  },
  overflow: ({ route, redis, links }) =>
    overflow(route?.down, () => {
      throwOut(redis, links.slice(0, 1), true);
    }),
  'deaf-link': ({ links: [subscription] }) => {
    if (subscription?.isSubscribed) subscription.deaf = true;
    return undefined;
  },
  'mute-links': ({ links, chance }) => {
    for (const link of chance.happens(0.5) ? links.slice(1) : links) link.mute = true;
    return undefined;
  },
  partition: ({ route }) => block(route ? [route.up, route.down] : []),
  'half-partition': ({ route, chance }) => block(route ? [chance.happens(0.5) ? route.up : route.down] : []),
  'slow-link': ({ route, chance }) => slow(route, chance.integer(50, 1500)),
  'thin-line': ({ route, chance }) => thin(route, chance),
  'clock-set': ({ machines, fault, chance }) => {
    machines.setClock(fault.slot, chance);
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
  // It ends by what the code does about it.
}

function throwOut({ servers }: RedisDeployment, links: readonly RedisConnection[], reset = false): void {
  for (const link of links) for (const server of servers) if (server.clients.has(link)) server.hangUp(link, reset);
}

/** Redis has more for a subscriber than that one takes, until it has had enough. */
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

/** Of bytes per second: as thin as a modem's line, or what a much used line has left. */
const THIN = [1500, 6000, 25_000, 100_000] as const;

function thin(route: Route | undefined, chance: Chance): () => void {
  const lanes = route ? chance.pick([[route.up], [route.down], [route.up, route.down]]) : [];
  const bytesPerSecond = chance.pick(THIN);
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
