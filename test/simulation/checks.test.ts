import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { EMPTY, Observable, concatMap, filter, from, map, of, throwError } from 'rxjs';
import type { MembershipEvent } from '../../src/hub/hub.js';
import type { MemberEvent } from '../../src/hub/room.js';
import type { PresenceChange } from '../../src/hub/presence-changes.js';
import type { Publish } from '../../src/handlers/effect.js';
import type { Outbound } from '../../src/connection/transport.js';
import type { RedisLink } from '../../src/redis/link.js';
import type { Room } from '../../src/hub/room.js';
import type { RoundTripHost } from '../../src/hub/round-trip.js';
import type { ClientPlan, FaultKind, Plan, RedisKind, Settings } from '../../simulation/plan.js';

/**
 * Each check, against production code that is broken on purpose. What is replaced is the real module, by itself with one thing
 * changed; all else is what runs in production.
 */

const SRC = '../../src';
const SEEDS = 25;
const FEWER_SEEDS = 4;
const SMALL = { pods: 2, connections: 16, minutes: 0.4 };

/** What was replaced. */
const broken = new Set<string>();

/** What the checks, or one of them, say first of the first seed that fails. */
async function firstViolation(check?: string, settings: Partial<Settings> = {}): Promise<string> {
  const { planOf } = await import('../../simulation/plan.js');
  const { play } = await import('../../simulation/play.js');
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { violations } = await play(planOf({ ...SMALL, ...settings, seed }));
    const first = violations.find((violation) => check === undefined || violation.check === check);
    if (first) return `${first.check}: ${first.what}`;
  }
  return 'nothing';
}

/** What befalls a kind of Redis again and again, and nothing else. */
const AGAIN_AND_AGAIN = [
  { kind: 'demotion', redis: 'single', everyMs: 7000, lastsMs: 0 },
  { kind: 'demotion', redis: 'sentinel', everyMs: 7000, lastsMs: 0 },
  { kind: 'slot-move', redis: 'cluster', everyMs: 200, lastsMs: 0 },
  { kind: 'bus-cut', redis: 'cluster', everyMs: 11_000, lastsMs: 9000 },
] as const satisfies readonly { kind: FaultKind; redis: RedisKind; everyMs: number; lastsMs: number }[];

/** The same, where that befalls it. Pods that began together do what they do every so often together: a lost connection parts them. */
async function firstViolationOf(
  { kind, redis, everyMs, lastsMs }: (typeof AGAIN_AND_AGAIN)[number],
  seeds = FEWER_SEEDS,
): Promise<string> {
  const { planOf } = await import('../../simulation/plan.js');
  const { play } = await import('../../simulation/play.js');
  for (let seed = 1; seed <= seeds; seed++) {
    const plan = planOf({ ...SMALL, redis, seed });
    const again = Array.from({ length: Math.floor(plan.durationMs / everyMs) - 1 }, (_, nth) => {
      return { index: nth + 1, kind, atMs: (nth + 1) * everyMs, lastsMs, slot: -1 };
    });
    const faults = [{ index: 0, kind: 'kill-links', atMs: 2000 + seed * 100, lastsMs: 0, slot: 0 } as const, ...again];
    const [first] = (await play({ ...plan, faults })).violations;
    if (first) return `${first.check}: ${first.what}`;
  }
  return 'nothing';
}

/** What the checks, or one of them, say first of plans, each of a seed. */
async function firstViolationIn(planFor: (whole: Plan) => Plan, check?: string): Promise<string> {
  const { planOf } = await import('../../simulation/plan.js');
  const { play } = await import('../../simulation/play.js');
  for (let seed = 1; seed <= FEWER_SEEDS; seed++) {
    const { violations } = await play(planFor(planOf({ ...SMALL, redis: 'single', seed })));
    const first = violations.find((violation) => check === undefined || violation.check === check);
    if (first) return `${first.check}: ${first.what}`;
  }
  return 'nothing';
}

/** Many say much at once, and the lines of both pods are thin again and again; what comes meanwhile is lost now and then. */
function thinLines(whole: Plan): Plan {
  const clients = whole.clients.slice(0, 8).map((client): ClientPlan => {
    return { ...client, habit: 'flooding', talksEveryMs: 1500, contentBytes: 60 };
  });
  const faults = [3000, 10_000, 17_000].flatMap((atMs, nth) => [
    { index: 3 * nth, kind: 'thin-line', atMs, lastsMs: 6500, slot: 0 } as const,
    { index: 3 * nth + 1, kind: 'thin-line', atMs, lastsMs: 6500, slot: 1 } as const,
    { index: 3 * nth + 2, kind: 'overflow', atMs: atMs + 3500, lastsMs: 2500, slot: nth % 2 } as const,
  ]);
  const environment = { ...whole.environment, PUBLISH_WINDOW: '32', PRESENCE_MAX_MEMBERS: '0' };
  return { ...whole, calm: false, clients, faults, environment };
}

/** Two clients send messages of nearly 64 KiB as fast as they may, over a line that brings them back slowly. */
function flood(whole: Plan): Plan {
  const clients = whole.clients.slice(0, 4).map((client, nth): ClientPlan => {
    const floods = { habit: 'flooding', rooms: ['room-0'], talksEveryMs: 500, contentBytes: 65_000 } as const;
    return { ...client, habit: 'steady', rooms: ['room-1'], ...(nth < 2 && floods) };
  });
  const faults = [0, 1].map((slot) => ({ index: slot, kind: 'thin-line', atMs: 3000, lastsMs: 15_000, slot }) as const);
  return { ...whole, calm: false, clients, faults, environment: { ...whole.environment, PUBLISH_WINDOW: '32' } };
}

/** A partition holds up what a pod's clients say, and ends while the other pod has no subscription. */
function heldUp(whole: Plan): Plan {
  const clients = whole.clients.slice(0, 8).map((client): ClientPlan => {
    return { ...client, habit: 'steady', rooms: ['room-0'], talksEveryMs: 400, contentBytes: 60 };
  });
  const faults = [
    { index: 0, kind: 'partition', atMs: 4000, lastsMs: 7300, slot: 0 },
    { index: 1, kind: 'redis-full', atMs: 9000, lastsMs: 2250, slot: -1 },
  ] as const;
  return { ...whole, calm: false, clients, faults, environment: { ...whole.environment, PRESENCE_MAX_MEMBERS: '0' } };
}

/** Replaces a module of the source by itself with something changed, for the modules that are imported from now on. */
async function breaking<M extends object>(path: string, change: (module: M) => Partial<Record<keyof M, unknown>>): Promise<void> {
  const module = (await import(`${SRC}/${path}`)) as M;
  jest.resetModules();
  broken.add(`${SRC}/${path}`);
  jest.unstable_mockModule(`${SRC}/${path}`, () => ({ ...module, ...change(module) }));
}

/** Changes a method of a class of the source. */
async function patching(path: string, name: string, change: (prototype: never) => void): Promise<void> {
  jest.resetModules();
  const module = (await import(`${SRC}/${path}`)) as Record<string, { prototype: never }>;
  const found = module[name];
  if (found === undefined) throw new Error(`${path} has no ${name}`);
  change(found.prototype);
}

/** One in so many. */
function every(count: number): () => boolean {
  let calls = 0;
  return () => (calls += 1) % count === 0;
}

function isSaid(event: MemberEvent | Outbound): boolean {
  return event.kind === 'batch' && event.publishedAtMs !== undefined;
}

// Some seconds each by itself; other work on the machine makes it minutes.
jest.setTimeout(400_000);

afterEach(() => {
  for (const path of broken) jest.unstable_unmockModule(path);
  broken.clear();
  jest.resetModules();
});

interface Publishing {
  publish: (effect: Publish) => void;
  settled: (cost: number, heldBytes: number) => void;
}

interface Receive {
  receive: (event: MemberEvent) => void;
}

describe('the code as it is', () => {
  test('passes', async () => {
    expect(await firstViolation()).toBe('nothing');
  });

  test.each(AGAIN_AND_AGAIN)('passes $kind after $kind ($redis)', async (what) => {
    expect(await firstViolationOf(what)).toBe('nothing');
  });
});

describe('delivery: once and in order, or told', () => {
  test('sees a buffer that drops in silence', async () => {
    await breaking<typeof import('../../src/operators/boundedBuffer.js')>('operators/boundedBuffer.js', ({ boundedBuffer }) => ({
      boundedBuffer: (...args: Parameters<typeof boundedBuffer<Outbound>>) => {
        const lost = every(50);
        return (source: Observable<Outbound>) =>
          source.pipe(
            filter((item) => !isSaid(item) || !lost()),
            boundedBuffer(...args),
          );
      },
    }));
    expect(await firstViolation()).toMatch(/^delivery: never received/);
  });

  test('sees a duplicate in the fan-out', async () => {
    const twice = every(100);
    await patching('hub/room.js', 'Member', (member: Receive) => {
      const { receive } = member;
      member.receive = function (this: unknown, event) {
        receive.call(this, event);
        if (isSaid(event) && twice()) receive.call(this, event);
      };
    });
    expect(await firstViolation()).toMatch(/^delivery: received .* after number/);
  });

  test('sees a turn that is handed over in the wrong order', async () => {
    await breaking<typeof import('../../src/hub/fan-out.js')>('hub/fan-out.js', ({ fanOut }) => ({
      fanOut: (rooms: readonly Room[]) => {
        for (const room of rooms) room.arrivals?.publications.reverse();
        fanOut(rooms);
      },
    }));
    expect(await firstViolation()).toMatch(/^delivery: /);
  });

  test('sees a resubscription that forgets a room', async () => {
    await patching(
      'redis/subscription.js',
      'RedisSubscription',
      (subscription: { session$: (link: RedisLink) => Observable<unknown> }) => {
        const { session$ } = subscription;
        subscription.session$ = function (this: unknown, link) {
          const subscribe = link.subscribe.bind(link);
          link.subscribe = (channels) => subscribe(channels.length > 2 ? channels.slice(0, -1) : channels);
          return session$.call(this, link);
        };
      },
    );
    expect(await firstViolation()).toMatch(/^delivery: .*got no error/);
  });

  test('sees a lost subscription that is not told', async () => {
    await breaking<typeof import('../../src/hub/server-message.js')>('hub/server-message.js', ({ gapBatch }) => ({
      gapBatch: (reason: 'subscription' | 'slow_consumer', _sinceMs: number, runtime: Parameters<typeof gapBatch>[2]) =>
        gapBatch(reason, runtime.wallMs(), runtime),
    }));
    expect(await firstViolation()).toMatch(/^delivery: never received/);
  });

  test('sees a subscription that is dead and never found out', async () => {
    await patching('redis/liveness/canary.js', 'Canary', (canary: { send: () => Observable<never> }) => {
      canary.send = () => EMPTY;
    });
    // What was said on a dead subscription never comes back, and holds up the drain of its sender.
    expect(await firstViolation()).toMatch(/^(delivery: .*got no error|leftovers: left over: \d+ connections)/);
  });

  test('passes messages that a partition held up, with the code as it is', async () => {
    expect(await firstViolationIn(heldUp)).toBe('nothing');
  });

  test('sees messages that a partition held up, and whose senders are not told', async () => {
    await patching(
      'connection/effect-runner.js',
      'EffectRunner',
      (runner: { sendError: (rejection: { code: string }) => void }) => {
        const { sendError } = runner;
        runner.sendError = function (this: unknown, rejection) {
          if (rejection.code !== 'unconfirmed') sendError.call(this, rejection);
        };
      },
    );
    expect(await firstViolationIn(heldUp)).toMatch(
      /^delivery: never received .*, and no gap reaches back the \d+ ms that it took/,
    );
  });

  test('sees a message that nobody published', async () => {
    await alteringWhatArrives((text) => text.replace(/"id":"[^"]*"/, '"id":"invented"'));
    expect(await firstViolation('delivery')).toMatch(/^delivery: received .* which nobody published there/);
  });

  test('sees a server that is no master any more and that nobody leaves', async () => {
    await breaking<typeof import('../../src/redis/liveness/master.js')>('redis/liveness/master.js', () => ({
      isMaster$: () => EMPTY,
    }));
    expect(await firstViolation('delivery', { redis: 'single' })).toMatch(
      /^delivery: .* at a replica, long after it had become one/,
    );
  });

  const [demoted, replaced, moved, cut] = AGAIN_AND_AGAIN;

  test.each([demoted, replaced])(
    'sees what went to a replica ($redis) and is not told to those who had left it',
    async (what) => {
      await patching('redis/liveness/in-doubt.js', 'PublishesInDoubt', (inDoubt: { sessionStarted: () => undefined }) => {
        inDoubt.sessionStarted = () => undefined;
      });
      expect(await firstViolationOf(what)).toMatch(
        /^delivery: never received .* which a replica had taken, nor any gap about it/,
      );
    },
  );

  test.each([demoted, replaced])(
    "sees what went to a replica ($redis) and is not told by a look at two pods' clocks",
    async (what) => {
      const { readAnnouncement } = await import('../../src/redis/liveness/announcements.js');
      await breaking<typeof import('../../src/redis/liveness/announcements.js')>(
        'redis/liveness/announcements.js',
        ({ Announcements }) => ({
          Announcements: class extends Announcements {
            readonly #wallMs: () => number;

            constructor(clocks: ConstructorParameters<typeof Announcements>[0]) {
              super(clocks);
              this.#wallMs = clocks.wallMs;
            }

            override receive(payload: Buffer, sentMs: number): void {
              const { wallMs = 0, ageMs = 0 } = readAnnouncement(payload) ?? {};
              // By its own clock it was over before this pod came here.
              if (wallMs + ageMs > this.#wallMs() - 1000) super.receive(payload, sentMs);
            }
          },
        }),
      );
      expect(await firstViolationOf(what, SEEDS)).toMatch(
        /^delivery: never received .* which a replica had taken, nor any gap about it/,
      );
    },
  );

  test('sees a room of a cluster that is not told that its slot moved', async () => {
    await patching(
      'redis/subscription.js',
      'RedisSubscription',
      (subscription: { lostSince: () => undefined; subscribe: Subscribe }) => {
        const { subscribe } = subscription;
        subscription.lostSince = () => undefined;
        subscription.subscribe = function (this: unknown, room) {
          return subscribe.call(this, room);
        };
      },
    );
    expect(await firstViolationOf(moved)).toMatch(/^delivery: never received/);
  });

  test('sees pods of a cluster that each believe one server, which may be cut off', async () => {
    await breaking<typeof import('../../src/redis/cluster/merge-views.js')>('redis/cluster/merge-views.js', ({ mergeViews }) => ({
      mergeViews: (_: unknown, reports: Parameters<typeof mergeViews>[1]) => mergeViews([], reports.slice(0, 1)),
    }));
    await breaking<typeof import('../../src/redis/cluster/cluster-view.js')>(
      'redis/cluster/cluster-view.js',
      ({ readNodes }) => ({
        readNodes: (answer: unknown) => ({ ...readNodes(answer), hasMajority: true }),
        readInfo: () => ({ isOk: true, isCutOff: false }),
      }),
    );
    expect(await firstViolationOf(cut)).toMatch(/^delivery: /);
  });

  test('sees what went to a master that was cut off and is not told to those who had left it', async () => {
    await breaking<typeof import('../../src/redis/cluster/in-doubt.js')>('redis/cluster/in-doubt.js', () => ({
      readNotice: (payload: Buffer) => (payload.toString().startsWith('misplaced') ? { ...UNHEARD } : undefined),
    }));
    expect(await firstViolationOf(cut)).toMatch(/^delivery: never received .* which a replica had taken, nor any gap about it/);
  });

  test('sees a gap of a cluster that begins when the pod noticed, not when the servers last agreed', async () => {
    await patching('redis/cluster/topology.js', 'RedisTopology', (topology: object) => {
      Object.defineProperty(topology, 'confirmedAt', { get: () => ({ ms: Infinity, wallMs: Infinity }) });
    });
    expect(await firstViolationOf(cut)).toMatch(/^delivery: never received/);
  });
});

/** A notice that says nothing. */
const UNHEARD = { pod: '', sinceAgeMs: 0, untilAgeMs: 0, sinceWallMs: Infinity };

describe('senders: an echo, an error, or the end', () => {
  test('sees an error that is swallowed', async () => {
    await patching(
      'redis/publisher.js',
      'RedisPublisher',
      (publisher: { publish: (channel: string, payload: string) => Observable<never> }) => {
        const { publish } = publisher;
        publisher.publish = function (this: unknown, channel, payload) {
          return new Observable((subscriber) =>
            publish.call(this, channel, payload).subscribe({
              complete: () => {
                subscriber.complete();
              },
              error: () => {
                subscriber.complete();
              },
            }),
          );
        };
      },
    );
    // Presence that was lost is seen too.
    expect(await firstViolation('senders')).toMatch(/^senders: sent .* and received nothing/);
  });

  test('sees a publish that is told as not published, and was', async () => {
    await breaking<typeof import('../../src/handlers/rejection.js')>('handlers/rejection.js', ({ reject }) => ({
      reject: (code: Parameters<typeof reject>[0], reason: string, ref?: string) =>
        reject(code === 'unconfirmed' ? 'unavailable' : code, reason, ref),
    }));
    expect(await firstViolation()).toMatch(/^senders: .*(which was published|told that it was not)/);
  });
});

describe('senders, told of what is not so', () => {
  test('see an error about what they did not say', async () => {
    await breaking<typeof import('../../src/handlers/rejection.js')>('handlers/rejection.js', ({ reject }) => ({
      reject: (code: Parameters<typeof reject>[0], reason: string) => reject(code, reason, 'something else'),
    }));
    expect(await firstViolation()).toMatch(/^senders: got .* about something else, which it did not say/);
  });

  test('see a refusal though nothing was wrong', async () => {
    const refused = every(50);
    jest.resetModules();
    const { PublishError } = await import('../../src/broker/broker.js');
    const { RedisPublisher } = await import('../../src/redis/publisher.js');
    const prototype: { publish: (channel: string, payload: string, isMessage?: boolean) => Observable<never> } =
      RedisPublisher.prototype;
    const { publish } = prototype;
    prototype.publish = function (this: unknown, channel, payload, isMessage) {
      if (isMessage === false || !refused()) return publish.call(this, channel, payload, isMessage);
      return throwError(() => new PublishError('unavailable', 'broken'));
    };
    expect(await firstViolation()).toMatch(/^senders: got unavailable though nothing was wrong/);
  });
});

describe('isolation', () => {
  test('sees a message with altered content', async () => {
    await alteringWhatArrives((text) => text.replace(/"content":"[^"]*"/, '"content":"altered"'));
    expect(await firstViolation('isolation')).toMatch(/^isolation: received chat .*: it is not what was sent there/);
  });

  test('sees an answer to the message of another client', async () => {
    await breaking<typeof import('../../src/hub/server-message.js')>('hub/server-message.js', ({ serverBatch }) => ({
      serverBatch: (message: Parameters<typeof serverBatch>[0], runtime: Parameters<typeof serverBatch>[1]) =>
        serverBatch(message.type === 'pong' ? { ...message, id: 'another' } : message, runtime),
    }));
    expect(await firstViolation('isolation')).toMatch(/^isolation: received pong .*: it answers another client/);
  });

  test('sees a room that leaks to the members of another', async () => {
    const seen = new Set<Room>();
    await breaking<typeof import('../../src/hub/fan-out.js')>('hub/fan-out.js', ({ fanOut }) => ({
      fanOut: (rooms: readonly Room[]) => {
        const [first] = rooms;
        for (const room of rooms) seen.add(room);
        const others = [...seen].flatMap(({ members }) => [...members]).filter((member) => first && !first.hasMember(member));
        if (first) for (const member of others.slice(0, 1)) first.addMember(member);
        fanOut(rooms);
        if (first) for (const member of others.slice(0, 1)) first.removeMember(member);
      },
    }));
    expect(await firstViolation()).toMatch(/^isolation: .*which the connection is not in/);
  });
});

describe('protocol: one welcome first, and nothing after the close', () => {
  test('sees a welcome that never comes', async () => {
    const lost = every(20);
    await patching('hub/room.js', 'Member', (member: Receive) => {
      const { receive } = member;
      member.receive = function (this: unknown, event) {
        if (event.kind !== 'joined' || !lost()) receive.call(this, event);
      };
    });
    expect(await firstViolation()).toMatch(/^protocol: (waited|received .* before the welcome)/);
  });

  test('sees a second welcome', async () => {
    const again = every(20);
    interface Welcoming {
      take: (event: MemberEvent) => void;
      output: { next?: (outbound: Outbound) => void };
    }
    await patching('connection/member-events.js', 'MemberEventsSubscriber', (subscriber: Welcoming) => {
      const { take } = subscriber;
      subscriber.take = function (this: Welcoming, event) {
        const { output } = this;
        const { next } = output;
        if (event.kind === 'joined' && again()) {
          output.next = (outbound) => {
            next?.call(output, outbound);
            next?.call(output, outbound);
          };
        }
        take.call(this, event);
        // What stands behind it is the prototype's.
        delete output.next;
      };
    });
    expect(await firstViolation('protocol')).toMatch(/^protocol: received two welcomes/);
  });

  test('sees a message after the close', async () => {
    await breaking<typeof import('../../src/connection/connection.js')>('connection/connection.js', ({ connection }) => ({
      connection: (...args: Parameters<typeof connection>) => {
        let last: Outbound | undefined;
        return connection(...args).pipe(
          concatMap((outbound) => {
            if (outbound.kind === 'batch') last = outbound;
            return outbound.kind === 'shut' && last ? from([outbound, last]) : of(outbound);
          }),
        );
      },
    }));
    expect(await firstViolation('protocol')).toMatch(/^protocol: received .* after the close/);
  });
});

describe('bounds', () => {
  test('sees a send buffer without bounds', async () => {
    await breaking<typeof import('../../src/operators/boundedBuffer.js')>('operators/boundedBuffer.js', ({ boundedBuffer }) => ({
      boundedBuffer: (...[consumer, options]: Parameters<typeof boundedBuffer<Outbound>>) =>
        boundedBuffer(consumer, { ...options, maxMessages: Infinity, maxBytes: Infinity }),
    }));
    expect(await firstViolation()).toMatch(/^bounds: .*(had waited|wait for it)/);
  });

  test('sees a buffer that does not wait for its socket', async () => {
    await breaking<typeof import('../../src/operators/boundedBuffer.js')>('operators/boundedBuffer.js', () => ({
      boundedBuffer: () => map((outbound: Outbound) => outbound),
    }));
    expect(await firstViolation()).toMatch(/^bounds: was written to though its socket was full/);
  });

  test('sees a publish window that is not kept', async () => {
    await patching('connection/publisher.js', 'Publisher', (publisher: Publishing) => {
      const { publish } = publisher;
      publisher.publish = function (this: typeof publisher, effect) {
        publish.call(this, effect);
        this.settled(0, 0);
      };
    });
    expect(await firstViolation()).toMatch(/^bounds: .*unconfirmed/);
  });
});

describe('backlog: publishes settled in time, and no more of them under way than Redis keeps', () => {
  test('pass thin lines with the code as it is', async () => {
    expect(await firstViolationIn(thinLines)).toBe('nothing');
  });

  test('see publishes that are told too late over a thin line', async () => {
    const { served$ } = await import('../../src/operators/within.js');
    await breaking<typeof import('../../src/operators/served-clock.js')>('operators/served-clock.js', ({ ServedClock }) => ({
      // A watch that begins anew whenever the oldest publish has changed.
      ServedClock: class extends ServedClock {
        readonly #wait$: Observable<unknown>;
        #count = 0;

        constructor(...args: ConstructorParameters<typeof ServedClock>) {
          super(...args);
          this.#wait$ = served$(...args);
        }

        override at(nowMs: number): number {
          // No two are due together.
          return nowMs + (this.#count += 1) / 1000;
        }

        override reached$(due: () => number | undefined): Observable<number | undefined> {
          const watched = due();
          return this.#wait$.pipe(
            concatMap(() => {
              const oldest = due();
              return oldest === undefined || oldest === watched ? of(oldest) : this.reached$(due);
            }),
          );
        }
      },
    }));
    expect(await firstViolationIn(thinLines)).toMatch(/^backlog: a publish of .* was under way for \d+ ms/);
  });

  test('see a pod whose own publishes are more than Redis keeps for its subscription', async () => {
    await breaking<typeof import('../../src/hub/round-trip.js')>('hub/round-trip.js', ({ RoundTrip }) => {
      // A publish that is under way until Redis has confirmed it, not until it has come back.
      abstract class OneWay extends RoundTrip {
        override begin(host: RoundTripHost, startedMs: number): void {
          super.begin(host, startedMs, undefined);
        }
      }
      return { RoundTrip: OneWay };
    });
    expect(await firstViolationIn(flood, 'backlog')).toMatch(
      /^backlog: pod \d has published \d+ bytes that have not returned to it/,
    );
  });

  test('pass a flood that echoes with the code as it is', async () => {
    expect(await firstViolationIn(flood)).toBe('nothing');
  });
});

describe('causes: no alarm without one', () => {
  test('sees a gap where nothing was wrong', async () => {
    const now = every(500);
    jest.resetModules();
    const { gapBatch } = await import('../../src/hub/server-message.js');
    await patchReceive(gapBatch, now);
    expect(await firstViolation()).toMatch(/^causes: received a gap/);
  });

  test.each([
    {
      what: 'that is still to come',
      reason: undefined,
      addMs: 3_600_000,
      seen: /^causes: received a gap that is still to come/,
    },
    {
      what: 'for a drop that is not allowed',
      reason: 'slow_consumer',
      addMs: 0,
      seen: /^causes: received a gap for a drop where none/,
    },
  ] as const)('sees a gap $what', async ({ reason, addMs, seen }) => {
    await breaking<typeof import('../../src/hub/server-message.js')>('hub/server-message.js', ({ gapBatch }) => ({
      gapBatch: (...[as, sinceMs, runtime]: Parameters<typeof gapBatch>) => gapBatch(reason ?? as, sinceMs + addMs, runtime),
    }));
    expect(await firstViolation('causes')).toMatch(seen);
  });

  test('sees a gap that reaches back too far', async () => {
    await breaking<typeof import('../../src/hub/server-message.js')>('hub/server-message.js', ({ gapBatch }) => ({
      gapBatch: (reason: 'subscription' | 'slow_consumer', sinceMs: number, runtime: Parameters<typeof gapBatch>[2]) =>
        gapBatch(reason, sinceMs - 60_000, runtime),
    }));
    expect(await firstViolation()).toMatch(/^causes: .*long before any fault/);
  });

  test('sees a close without a reason', async () => {
    const silent = every(20);
    await patching('connection/publish-window.js', 'PublishWindow', (publishWindow: { welcome: () => void }) => {
      const { welcome } = publishWindow;
      publishWindow.welcome = function (this: unknown) {
        if (silent()) throw new Error('broken');
        welcome.call(this);
      };
    });
    expect(await firstViolation()).toMatch(/^(causes: was closed with 1011|leftovers: connection failed)/);
  });
});

describe('leftovers: nothing is left at the end', () => {
  test('sees a room that is never left', async () => {
    await patching('hub/room.js', 'Room', (room: { release: () => void }) => {
      room.release = () => undefined;
    });
    expect(await firstViolation()).toMatch(/^leftovers: left over: a subscription/);
  });

  test('sees a timer that leaks', async () => {
    await breaking<typeof import('../../src/connection/heartbeat.js')>('connection/heartbeat.js', ({ connectionHeartbeat }) => ({
      connectionHeartbeat: (...args: Parameters<typeof connectionHeartbeat>) => {
        args[1].tick$.subscribe();
        return connectionHeartbeat(...args);
      },
    }));
    expect(await firstViolation()).toMatch(/^leftovers: left over: .* timers/);
  });

  test('sees a connection that nobody unsubscribes from', async () => {
    await breaking<typeof import('../../src/connection/connection.js')>('connection/connection.js', ({ connection }) => ({
      connection: (...args: Parameters<typeof connection>) => {
        args[0].subscribe();
        return connection(...args);
      },
    }));
    expect(await firstViolation()).toMatch(/^leftovers: left over: listeners/);
  });

  test('sees an error that nobody catches', async () => {
    const thrown = every(200);
    await patching('hub/room.js', 'Member', (member: Receive) => {
      const { receive } = member;
      member.receive = function (this: unknown, event) {
        if (thrown()) throw new Error('broken');
        receive.call(this, event);
      };
    });
    expect(await firstViolation('leftovers')).toMatch(/^leftovers: (?!left over)/);
  });
});

describe('presence: published, or counted as lost', () => {
  interface Changes {
    published: (change: PresenceChange) => void;
    fail: (change: PresenceChange, certainly: boolean) => void;
    add: (event: MembershipEvent) => number;
  }

  test('sees a change that failed and is not retried', async () => {
    await patching('hub/presence-changes.js', 'PresenceChanges', (changes: Changes) => {
      changes.fail = function (this: Changes, change) {
        this.published(change);
      };
    });
    expect(await firstViolation('presence')).toMatch(/^presence: .* counted 0 changes of presence as lost, and \d+ were/);
  });

  test('sees a change that is forgotten', async () => {
    const forgotten = every(10);
    await patching('hub/presence-changes.js', 'PresenceChanges', (changes: Changes) => {
      const { add } = changes;
      changes.add = function (this: Changes, event) {
        return forgotten() ? 0 : add.call(this, event);
      };
    });
    expect(await firstViolation('presence')).toMatch(/^presence: .* counted 0 changes of presence as lost, and \d+ were/);
  });

  test('sees changes that are kept although they need not be published', async () => {
    await patching('hub/presence-changes.js', 'PresenceChanges', (changes: Changes) => {
      const { add } = changes;
      const added = new WeakMap<Changes, number>();
      changes.add = function (this: Changes, event) {
        added.set(this, (added.get(this) ?? 0) + 1);
        return add.call(this, event);
      };
      Object.defineProperty(changes, 'size', {
        get(this: Changes) {
          return added.get(this) ?? 0;
        },
      });
    });
    expect(await firstViolation('presence')).toMatch(/^presence: \d+ changes of presence (still )?wait at/);
  });

  test('sees presence that names the wrong identity', async () => {
    await patching('hub/presence-changes.js', 'PresenceChanges', (changes: Changes) => {
      const { add } = changes;
      changes.add = function (this: Changes, event) {
        return add.call(this, { ...event, identity: 'another' });
      };
    });
    expect(await firstViolation('presence')).toMatch(/^presence: .* was told that the identity of \S+ is another/);
  });

  test('sees presence of connections that a drain closes', async () => {
    await breaking<typeof import('../../src/hub/presence.js')>('hub/presence.js', (module) => ({
      Presence: class extends module.Presence {
        override readonly stop$ = EMPTY;
      },
    }));
    expect(await firstViolation('presence')).toMatch(/^presence: .* is offline, which it had no reason to be told/);
  });
});

type Subscribe = (room: string, lostMs?: number) => Observable<boolean>;

/** One publication in fifty is not what was published. */
async function alteringWhatArrives(alter: (text: string) => string): Promise<void> {
  const altered = every(50);
  await breaking<typeof import('../../src/hub/fan-out.js')>('hub/fan-out.js', ({ fanOut }) => ({
    fanOut: (rooms: readonly Room[]) => {
      for (const room of rooms) {
        const { arrivals } = room;
        const publications = arrivals?.publications.map((one) =>
          altered() ? { ...one, payload: Buffer.from(alter(one.payload.toString())) } : one,
        );
        if (arrivals && publications) room.arrivals = { ...arrivals, publications };
      }
      fanOut(rooms);
    },
  }));
}

async function patchReceive(
  gapBatch: (reason: 'subscription', sinceMs: number, runtime: never) => MemberEvent,
  now: () => boolean,
): Promise<void> {
  const { Member } = await import('../../src/hub/room.js');
  const member: Receive = Member.prototype;
  const { receive } = member;
  let ids = 0;
  const runtime = { wallMs: () => Date.UTC(2026, 0, 1) + 3000, newId: () => `gap-${(ids += 1)}` } as never;
  member.receive = function (this: unknown, event) {
    receive.call(this, event);
    if (isSaid(event) && now()) receive.call(this, gapBatch('subscription', Date.UTC(2026, 0, 1) + 2000, runtime));
  };
}
