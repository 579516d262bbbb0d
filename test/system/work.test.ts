import { afterAll, describe, expect, test } from '@jest/globals';
import { Observable, Subject, timer } from 'rxjs';
import { connection } from '../../src/connection/connection.js';
import { drain, type Drainable } from '../../src/server/drain.js';
import type { Inbound } from '../../src/connection/transport.js';
import { Presence } from '../../src/hub/presence.js';
import { silentLogger } from '../../src/runtime/log.js';
import { noMetrics } from '../../src/runtime/metrics.js';
import type { Pod } from '../../src/connection/context.js';
import { redisBroker } from '../../src/redis/broker.js';
import { LinkError, type RedisLink } from '../../src/redis/link.js';
import { Timeline, VirtualScheduler } from '../../src/testing/virtual-scheduler.js';
import { virtualRuntime } from '../../src/testing/virtual-runtime.js';
import { READY } from '../support/consumer.js';
import { inRooms, virtualPod } from '../support/pod.js';
import { ScriptedLink } from '../support/redis-link.js';
import { WorkCounter } from '../support/work.js';

/** The rooms of each connection, beside the one that it shares with all others. */
const ROOMS = 4;
const CROWD = 120;

/**
 * The most that the second doubling of a crowd may add, compared to the first: twice as much where each costs the same, four times
 * as much where the work grows with the square. A part that does not depend on the crowd plays no role.
 */
const MOST = 2.15;

/** Longer than anything that follows from one of the events here: retries, proofs, lingering rooms, a drain. */
const CALM_MS = 20_000;

/** Redis in virtual time, as far as a pod sees it: one link for each connection, and what is published comes to all. */
class VirtualRedis {
  isUp = true;
  readonly #timeline: Timeline;
  readonly #links = new Map<ScriptedLink, (error: LinkError) => void>();

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  connect(): Observable<RedisLink> {
    return new Observable((subscriber) => {
      const link = new ScriptedLink(this.#timeline);
      link.publish = (channel, payload, settled) => {
        timer(1, this.#timeline).subscribe(() => {
          if (!this.#links.has(link)) return;
          for (const other of this.#links.keys()) if (other.channels().has(channel)) other.say(channel, payload);
          settled(undefined);
        });
      };
      if (this.isUp) {
        this.#links.set(link, (error) => {
          subscriber.error(error);
        });
        subscriber.next(link);
      } else {
        subscriber.error(new LinkError('connect ECONNREFUSED'));
      }
      return () => {
        this.#links.delete(link);
      };
    });
  }

  die(): void {
    this.isUp = false;
    for (const fail of [...this.#links.values()]) fail(new LinkError('connection closed'));
  }
}

/** A pod as in production, but for its sockets and ioredis, and the crowd that it serves. */
class Scene {
  readonly redis: VirtualRedis;
  readonly #scheduler = new VirtualScheduler(0);
  readonly #timeline = new Timeline(this.#scheduler);
  readonly #pod: Pod;
  readonly #presence: Presence;
  readonly #crowd = new Set<Drainable>();
  readonly #ended$ = new Subject<void>();

  constructor() {
    const runtime = virtualRuntime(this.#timeline);
    this.redis = new VirtualRedis(this.#timeline);
    const broker = redisBroker({
      address: { host: 'localhost', port: 6379, tls: false },
      connect: () => this.redis.connect(),
      channelPrefix: 'test',
      timeoutMs: 2000,
      runtime,
      metrics: noMetrics,
      log: silentLogger,
    });
    this.#pod = virtualPod(this.#timeline, { broker, runtime });
    this.#presence = new Presence(this.#pod, 100);
    this.pass();
  }

  come(count: number): void {
    for (let nth = 0; nth < count; nth += 1) this.#comeOne(nth);
  }

  /** All at once, in one turn. */
  leave(): void {
    for (const one of this.#crowd) one.terminate();
  }

  drain(): void {
    const options = {
      connections: this.#crowd,
      ended$: this.#ended$,
      delayMs: 0,
      timeoutMs: 10_000,
      closing$: this.#presence.stop$,
    };
    drain({ ...options, runtime: this.#pod.runtime }).subscribe();
  }

  pass(ms = CALM_MS): void {
    const untilMs = this.#scheduler.now() + ms;
    while (this.#scheduler.step(untilMs));
    this.#scheduler.pass(untilMs);
  }

  #comeOne(nth: number): void {
    const rooms = Array.from({ length: ROOMS }, (_, at) => `room-${nth}-${at}`);
    const inbound$ = new Subject<Inbound>();
    const one: Drainable = {
      order: (order) => {
        inbound$.next(order);
      },
      terminate: () => {
        subscription.unsubscribe();
      },
    };
    const subscription = connection(inbound$, READY, inRooms(this.#pod, `c${nth}`, ['all', ...rooms])).subscribe();
    this.#crowd.add(one);
    subscription.add(() => {
      this.#crowd.delete(one);
      this.#ended$.next();
    });
  }
}

/** One event in the life of a pod, for a crowd of a size. */
interface Event {
  readonly what: string;
  readonly before: (scene: Scene, count: number) => void;
  readonly happens: (scene: Scene, count: number) => void;
}

const come = (scene: Scene, count: number) => {
  scene.come(count);
};

const EVENTS: readonly Event[] = [
  { what: 'joins', before: () => undefined, happens: come },
  {
    what: 'joins while Redis is away',
    before: (scene) => {
      scene.redis.die();
      scene.pass();
    },
    happens: (scene, count) => {
      scene.come(count);
      scene.redis.isUp = true;
    },
  },
  {
    what: 'leaves, and the presence that tells of them',
    before: come,
    happens: (scene) => {
      scene.leave();
    },
  },
  {
    what: 'leaves while Redis is away',
    before: (scene, count) => {
      scene.come(count);
      scene.pass();
      scene.redis.die();
      scene.pass(3000);
    },
    happens: (scene) => {
      scene.leave();
      scene.pass();
      scene.redis.isUp = true;
    },
  },
  {
    what: 'resubscribing after an outage',
    before: come,
    happens: (scene) => {
      scene.redis.die();
      scene.redis.isUp = true;
    },
  },
  {
    what: 'a drain',
    before: come,
    happens: (scene) => {
      scene.drain();
    },
  },
];

const counter = new WorkCounter();

afterAll(() => {
  counter.end();
});

/** How much more the second doubling of a crowd adds than the first. */
function growth({ before, happens }: Event): number {
  const workOf = (count: number) => {
    const scene = new Scene();
    before(scene, count);
    scene.pass();
    return counter.workOf(() => {
      happens(scene, count);
      scene.pass();
    });
  };
  // Makes what all runs share.
  workOf(1);
  const [one, two, four] = [workOf(CROWD), workOf(2 * CROWD), workOf(4 * CROWD)];
  return (four - two) / (two - one);
}

describe('twice the crowd is twice the work for', () => {
  test.each(EVENTS)('$what', (event) => {
    expect(growth(event)).toBeLessThan(MOST);
  });
});

describe('the counter', () => {
  const pairs = (items: readonly number[]) => items.map((item) => items.indexOf(item));

  test('sees work that grows with the square inside of a built-in method', () => {
    const [one = 0, two = 0, four = 0] = [100, 200, 400].map((count) => {
      const items = Array.from({ length: count }, (_, nth) => nth);
      return counter.workOf(() => pairs(items));
    });
    expect((four - two) / (two - one)).toBeCloseTo(4, 0);
  });
});
