import type { Chance } from './chance.js';
import type { Lane } from './network.js';
import type { Fault } from './plan.js';
import type { RedisConnection, Route } from './redis-connection.js';
import type { RedisDeployment } from './redis-deployment.js';

/** What faults befall. */
export interface Machines {
  readonly redis: RedisDeployment;
  /** The ways between pods and Redis, by slot. */
  readonly routes: readonly Route[];
  /** The connections of a slot to Redis at present, subscriptions first. */
  links(slot: number): readonly RedisConnection[];
  /** The pod of a slot is asked to go, and another one takes its place. */
  drain(slot: number): void;
  /** The pod of a slot dies; another one comes some time later. */
  crash(slot: number, backInMs: number): void;
  stall(slot: number, ms: number): void;
}

/** Makes a fault happen; returns what ends it. */
export function befall(fault: Fault, machines: Machines, chance: Chance): () => void {
  const { slot, lastsMs } = fault;
  const { redis } = machines;
  const { master } = redis;
  const route = machines.routes[slot];
  const [subscription, ...others] = machines.links(slot);
  switch (fault.kind) {
    case 'redis-restart':
      master.die(chance.happens(0.5));
      return () => {
        master.start();
      };
    case 'redis-stop':
      master.stop();
      return () => {
        master.goOn();
      };
    case 'redis-full':
      master.full = true;
      // Those that are connected stay, but for one.
      throwOut(redis, machines.links(chance.integer(0, machines.routes.length - 1)).slice(0, 1));
      return () => {
        master.full = false;
      };
    case 'redis-refuses':
      master.refusesPublishes = true;
      return () => {
        master.refusesPublishes = false;
      };
    case 'failover':
      master.die(chance.happens(0.5));
      return () => {
        redis.promote();
        master.start();
      };
    case 'demotion':
      redis.promote();
      return nothing;
    case 'kill-links':
      throwOut(redis, chance.happens(0.5) ? machines.links(slot) : machines.links(slot).filter(() => chance.happens(0.5)));
      return nothing;
    case 'overflow':
      return overflow(route?.down, () => {
        throwOut(redis, subscription ? [subscription] : [], true);
      });
    case 'deaf-link':
      if (subscription?.isSubscribed) subscription.deaf = true;
      return nothing;
    case 'mute-links':
      for (const link of chance.happens(0.5) ? others : machines.links(slot)) link.mute = true;
      return nothing;
    case 'partition':
      return block(route ? [route.up, route.down] : []);
    case 'half-partition':
      return block(route ? [chance.happens(0.5) ? route.up : route.down] : []);
    case 'slow-link':
      return slow(route, chance.integer(50, 1500));
    case 'drain':
      machines.drain(slot);
      return nothing;
    case 'crash':
      machines.crash(slot, lastsMs);
      return nothing;
    case 'stall':
      machines.stall(slot, lastsMs);
      return nothing;
  }
}

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

function slow(route: Route | undefined, ms: number): () => void {
  const lanes = route ? [route.up, route.down] : [];
  for (const lane of lanes) lane.extraMs += ms;
  return () => {
    for (const lane of lanes) lane.extraMs -= ms;
  };
}
