import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { EMPTY, Observable, concatMap, filter, from, map, of } from 'rxjs';
import type { MemberEvent } from '../../../src/member.js';
import type { Outbound } from '../../../src/transport.js';
import type { RedisLink } from '../../../src/redis-link.js';
import type { Room } from '../../../src/room.js';

/**
 * Each check, against production code that is broken on purpose. What is replaced is the real module, by itself with one thing
 * changed; all else is what runs in production.
 */

const SRC = '../../../src';
const SEEDS = 25;
const SMALL = { pods: 2, connections: 16, minutes: 0.4 };

/** What was replaced. */
const broken = new Set<string>();

/** What the checks, or one of them, say first of the first seed that fails. */
async function firstViolation(check?: string): Promise<string> {
  const { planOf } = await import('../../../src/testing/simulation/plan.js');
  const { play } = await import('../../../src/testing/simulation/play.js');
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { violations } = await play(planOf({ ...SMALL, seed }));
    const first = violations.find((violation) => check === undefined || violation.check === check);
    if (first) return `${first.check}: ${first.what}`;
  }
  return 'nothing';
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

afterEach(() => {
  for (const path of broken) jest.unstable_unmockModule(path);
  broken.clear();
  jest.resetModules();
});

interface Receive {
  receive: (event: MemberEvent) => void;
}

describe('the code as it is', () => {
  test('passes', async () => {
    expect(await firstViolation()).toBe('nothing');
  });
});

describe('delivery: once and in order, or told', () => {
  test('sees a buffer that drops in silence', async () => {
    await breaking<typeof import('../../../src/operators/boundedBuffer.js')>(
      'operators/boundedBuffer.js',
      ({ boundedBuffer }) => ({
        boundedBuffer: (...args: Parameters<typeof boundedBuffer<Outbound>>) => {
          const lost = every(50);
          return (source: Observable<Outbound>) =>
            source.pipe(
              filter((item) => !isSaid(item) || !lost()),
              boundedBuffer(...args),
            );
        },
      }),
    );
    expect(await firstViolation()).toMatch(/^delivery: never heard/);
  });

  test('sees a duplicate in the fan-out', async () => {
    const twice = every(100);
    await patching('member.js', 'Member', (member: Receive) => {
      const { receive } = member;
      member.receive = function (this: unknown, event) {
        receive.call(this, event);
        if (isSaid(event) && twice()) receive.call(this, event);
      };
    });
    expect(await firstViolation()).toMatch(/^delivery: heard .* after number/);
  });

  test('sees a turn that is handed over in the wrong order', async () => {
    await breaking<typeof import('../../../src/fan-out.js')>('fan-out.js', ({ fanOut }) => ({
      fanOut: (rooms: readonly Room[]) => {
        for (const room of rooms) room.arrived.reverse();
        fanOut(rooms);
      },
    }));
    expect(await firstViolation()).toMatch(/^delivery: /);
  });

  test('sees a resubscription that forgets a room', async () => {
    await patching(
      'redis-subscription.js',
      'RedisSubscription',
      (subscription: { live: (link: RedisLink) => Observable<unknown> }) => {
        const { live } = subscription;
        subscription.live = function (this: unknown, link) {
          const subscribe = link.subscribe.bind(link);
          link.subscribe = (channels) => subscribe(channels.length > 2 ? channels.slice(0, -1) : channels);
          return live.call(this, link);
        };
      },
    );
    expect(await firstViolation()).toMatch(/^delivery: .*told nothing/);
  });

  test('sees a lost subscription that is not told', async () => {
    await breaking<typeof import('../../../src/server-message.js')>('server-message.js', ({ gapBatch }) => ({
      gapBatch: (reason: 'subscription' | 'slow_consumer', _sinceMs: number, world: Parameters<typeof gapBatch>[2]) =>
        gapBatch(reason, world.scheduler.now(), world),
    }));
    expect(await firstViolation()).toMatch(/^delivery: never heard/);
  });

  test('sees a subscription that is dead and never found out', async () => {
    await patching('redis-canary.js', 'Canary', (canary: { fly: () => Observable<never> }) => {
      canary.fly = () => EMPTY;
    });
    expect(await firstViolation()).toMatch(/^delivery: .*told nothing/);
  });
});

describe('senders: an echo, an error, or the end', () => {
  test('sees an error that is swallowed', async () => {
    await patching(
      'redis-publisher.js',
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
    expect(await firstViolation()).toMatch(/^senders: said .* and heard nothing/);
  });

  test('sees a publish that is told as not published, and was', async () => {
    await breaking<typeof import('../../../src/message.js')>('message.js', ({ reject }) => ({
      reject: (code: Parameters<typeof reject>[0], reason: string, ref?: string) =>
        reject(code === 'unconfirmed' ? 'unavailable' : code, reason, ref),
    }));
    expect(await firstViolation()).toMatch(/^senders: .*(which was published|told that it was not)/);
  });
});

describe('isolation', () => {
  test('sees a room that leaks to the members of another', async () => {
    const seen = new Set<Room>();
    await breaking<typeof import('../../../src/fan-out.js')>('fan-out.js', ({ fanOut }) => ({
      fanOut: (rooms: readonly Room[]) => {
        const [first] = rooms;
        for (const room of rooms) seen.add(room);
        const others = [...seen].flatMap(({ members }) => [...members]).filter((member) => first && !first.members.has(member));
        if (first) for (const member of others.slice(0, 1)) first.members.add(member);
        fanOut(rooms);
        if (first) for (const member of others.slice(0, 1)) first.members.delete(member);
      },
    }));
    expect(await firstViolation()).toMatch(/^isolation: .*which the connection is not in/);
  });
});

describe('manners: a welcome first, nothing after the close', () => {
  test('sees a welcome that never comes', async () => {
    const lost = every(20);
    await patching('member.js', 'Member', (member: Receive) => {
      const { receive } = member;
      member.receive = function (this: unknown, event) {
        if (event.kind !== 'joined' || !lost()) receive.call(this, event);
      };
    });
    expect(await firstViolation()).toMatch(/^manners: (waited|heard .* before the welcome)/);
  });

  test('sees a member that hears after its close', async () => {
    await breaking<typeof import('../../../src/connection.js')>('connection.js', ({ connection }) => ({
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
    expect(await firstViolation('manners')).toMatch(/^manners: heard .* after the close/);
  });
});

describe('bounds', () => {
  test('sees a send buffer without bounds', async () => {
    await breaking<typeof import('../../../src/operators/boundedBuffer.js')>(
      'operators/boundedBuffer.js',
      ({ boundedBuffer }) => ({
        boundedBuffer: (...[consumer, options]: Parameters<typeof boundedBuffer<Outbound>>) =>
          boundedBuffer(consumer, { ...options, maxMessages: Infinity, maxBytes: Infinity }),
      }),
    );
    expect(await firstViolation()).toMatch(/^bounds: .*(had waited|wait for it)/);
  });

  test('sees a buffer that does not wait for its socket', async () => {
    await breaking<typeof import('../../../src/operators/boundedBuffer.js')>('operators/boundedBuffer.js', () => ({
      boundedBuffer: () => map((outbound: Outbound) => outbound),
    }));
    expect(await firstViolation()).toMatch(/^bounds: was written to though its socket was full/);
  });

  test('sees a publish window that is not kept', async () => {
    await patching('intake.js', 'Intake', (intake: { published: () => void; confirmed: () => void }) => {
      intake.published = intake.confirmed = () => undefined;
    });
    expect(await firstViolation()).toMatch(/^bounds: .*unconfirmed/);
  });
});

describe('causes: no alarm without one', () => {
  test('sees a gap where nothing was wrong', async () => {
    const now = every(500);
    jest.resetModules();
    const { gapBatch } = await import('../../../src/server-message.js');
    await patchReceive(gapBatch, now);
    expect(await firstViolation()).toMatch(/^causes: was told of a gap/);
  });

  test('sees a gap that reaches back too far', async () => {
    await breaking<typeof import('../../../src/server-message.js')>('server-message.js', ({ gapBatch }) => ({
      gapBatch: (reason: 'subscription' | 'slow_consumer', sinceMs: number, world: Parameters<typeof gapBatch>[2]) =>
        gapBatch(reason, sinceMs - 60_000, world),
    }));
    expect(await firstViolation()).toMatch(/^causes: .*long before any fault/);
  });

  test('sees a close without a reason', async () => {
    const silent = every(20);
    await patching('intake.js', 'Intake', (intake: { welcome: () => void }) => {
      const { welcome } = intake;
      intake.welcome = function (this: unknown) {
        if (silent()) throw new Error('broken');
        welcome.call(this);
      };
    });
    expect(await firstViolation()).toMatch(/^(causes: was closed with 1011|remains: connection failed)/);
  });
});

describe('remains: nothing lives on', () => {
  test('sees a room that is never left', async () => {
    await patching('room.js', 'Room', (room: { release: () => void }) => {
      room.release = () => undefined;
    });
    expect(await firstViolation()).toMatch(/^remains: left over: a subscription/);
  });

  test('sees a timer that leaks', async () => {
    await breaking<typeof import('../../../src/keep-alive.js')>('keep-alive.js', ({ keepAlive }) => ({
      keepAlive: (...args: Parameters<typeof keepAlive>) => {
        args[1].tick$.subscribe();
        return keepAlive(...args);
      },
    }));
    expect(await firstViolation()).toMatch(/^remains: left over: .* timers/);
  });

  test('sees a connection that nobody unsubscribes from', async () => {
    await breaking<typeof import('../../../src/connection.js')>('connection.js', ({ connection }) => ({
      connection: (...args: Parameters<typeof connection>) => {
        args[0].subscribe();
        return connection(...args);
      },
    }));
    expect(await firstViolation()).toMatch(/^remains: left over: listeners/);
  });

  test('sees an error that nobody catches', async () => {
    const thrown = every(200);
    await patching('member.js', 'Member', (member: Receive) => {
      const { receive } = member;
      member.receive = function (this: unknown, event) {
        if (thrown()) throw new Error('broken');
        receive.call(this, event);
      };
    });
    expect(await firstViolation('remains')).toMatch(/^remains: (?!left over)/);
  });
});

async function patchReceive(
  gapBatch: (reason: 'subscription', sinceMs: number, world: never) => MemberEvent,
  now: () => boolean,
): Promise<void> {
  const { Member } = await import('../../../src/member.js');
  const member: Receive = Member.prototype;
  const { receive } = member;
  let ids = 0;
  const world = { scheduler: { now: () => Date.UTC(2026, 0, 1) + 3000 }, newId: () => `gap-${(ids += 1)}` } as never;
  member.receive = function (this: unknown, event) {
    receive.call(this, event);
    if (isSaid(event) && now()) receive.call(this, gapBatch('subscription', Date.UTC(2026, 0, 1) + 2000, world));
  };
}
