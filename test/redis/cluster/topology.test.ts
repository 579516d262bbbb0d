import { describe, expect, test } from '@jest/globals';
import { NEVER, Observable, Subject, of, throwError, timer } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { silentLogger } from '../../../src/runtime/log.js';
import { LinkError, type RedisLink } from '../../../src/redis/link.js';
import { RedisTopology } from '../../../src/redis/cluster/topology.js';
import { marbles, virtualRuntime } from '../../support/marbles.js';

const TIMEOUT_MS = 300;
const SHARES = ['0-5460', '5461-10922', '10923-16383'] as const;

/** The replies of three masters `a`, `b` and `c`, and of `r`, the replica of `a`. */
class Scene {
  readonly scheduler: TestScheduler;
  readonly topology: RedisTopology;
  /** The servers that cannot be reached. */
  readonly down = new Set<string>();
  /** The servers that know that `r` has replaced `a`. */
  informed: ReadonlySet<string> = new Set();
  /** The servers that a server takes to have failed. */
  readonly unheard = new Map<string, readonly string[]>();
  /** The commands, as `{ms} {server} {subcommand}`. */
  readonly asked: string[] = [];
  readonly #lost$ = new Subject<string>();

  constructor(scheduler: TestScheduler, servers: readonly string[] = ['a:1']) {
    this.scheduler = scheduler;
    this.topology = new RedisTopology({
      address: { host: 'unused', port: 6379, tls: false },
      connect: ({ address }) => this.#connect(address.host),
      channelPrefix: 'test',
      servers,
      timeoutMs: TIMEOUT_MS,
      runtime: virtualRuntime(scheduler),
      log: silentLogger,
    });
    this.topology.connected().subscribe();
  }

  at(ms: number, act: () => void): void {
    timer(ms, this.scheduler).subscribe(act);
  }

  until(ms: number): this {
    this.scheduler.maxFrames = ms;
    this.scheduler.flush();
    return this;
  }

  /** Stops a server and ends the connection to it. */
  lose(server: string): void {
    this.down.add(server);
    this.#lost$.next(server);
  }

  get ownerOfFirst(): string | undefined {
    return this.topology.table$.value.ownerOf(0);
  }

  #connect(server: string): Observable<RedisLink> {
    if (this.down.has(server)) return throwError(() => new LinkError('refused'));
    return new Observable((subscriber) => {
      subscriber.next({
        publish: () => undefined,
        subscribe: () => of(1),
        unsubscribe: () => undefined,
        call: (_, question = '') => {
          this.asked.push(`${this.scheduler.now()} ${server} ${question}`);
          return of(question === 'NODES' ? this.#nodes(server) : this.#slots());
        },
        receivedBytes: () => 0,
        message$: NEVER,
        moved$: NEVER,
        channels: () => new Set<string>(),
      });
      subscriber.add(
        this.#lost$.subscribe((lost) => {
          if (lost === server) subscriber.error(new LinkError('lost'));
        }),
      );
    });
  }

  #nodes(by: string): string {
    const masters = this.informed.has(by) ? ['r', 'b', 'c'] : ['a', 'b', 'c'];
    const epochs = this.informed.has(by) ? [9, 2, 3] : [1, 2, 3];
    const unheard = this.unheard.get(by) ?? [];
    return ['a', 'b', 'c', 'r']
      .map((server) => {
        const nth = masters.indexOf(server);
        const flags = [
          ...(server === by ? ['myself'] : []),
          nth < 0 ? 'slave' : 'master',
          ...(unheard.includes(server) ? ['fail?'] : []),
        ];
        return `${server} ${server}:1@2 ${flags.join()} - 0 0 ${epochs[Math.max(nth, 0)] ?? 0} connected ${nth < 0 ? '' : SHARES[nth]}`.trimEnd();
      })
      .join('\n');
  }

  #slots(): unknown {
    return [[0, 16_383, ...['a', 'b', 'c', 'r'].map((server) => [server, 1, server, []])]];
  }
}

function scene(play: (scene: Scene) => void, servers?: readonly string[]): void {
  marbles((_, scheduler) => {
    play(new Scene(scheduler, servers));
  });
}

describe('the servers of a cluster', () => {
  test('are all polled every 1.5 s, though only one is configured; CLUSTER SLOTS is sent once', () => {
    scene((it) => {
      it.until(1600);
      expect(
        it.asked
          .filter((asked) => asked.includes('NODES'))
          .map((asked) => asked.slice(0, -6))
          .sort(),
      ).toEqual(
        ['0 a', '0 b', '0 c', '1500 a', '1500 b', '1500 c'], //
      );
      expect(it.asked.filter((asked) => asked.includes('SLOTS'))).toHaveLength(3);
      expect(it.topology.status).toEqual({ up: true });
    });
  });

  test('that are configured and not masters are polled only while no majority of the masters answers', () => {
    scene(
      (it) => {
        it.at(1000, () => {
          it.lose('b');
          it.lose('c');
        });
        it.until(2900);
        expect(it.asked.filter((asked) => asked.includes(' r NODES')).map((asked) => Number(asked.split(' ', 1)))).toEqual([
          0, 1000, 2500,
        ]);
      },
      ['r:1'],
    );
  });

  test('leave the status down with the reason if none can be reached', () => {
    scene((it) => {
      it.down.add('a');
      it.until(100);
      expect(it.topology.status).toEqual({ up: false, reason: 'cluster: a:1: refused' });
    });
  });
});

describe('servers that disagree', () => {
  test('are merged by the greatest config epoch', () => {
    scene((it) => {
      it.at(1000, () => (it.informed = new Set(['b', 'c', 'r'])));
      expect(it.until(1400).ownerOfFirst).toBe('a:1');
      expect(it.until(1600).ownerOfFirst).toBe('r:1');
      expect(it.until(20_000).ownerOfFirst).toBe('r:1');
    });
  });

  test('do not revert the table when the one with the newest view is lost', () => {
    scene((it) => {
      it.at(1000, () => (it.informed = new Set(['c', 'r'])));
      it.at(1600, () => {
        it.lose('c');
        it.lose('r');
      });
      expect(it.until(1600).ownerOfFirst).toBe('r:1');
      expect(it.until(20_000).ownerOfFirst).toBe('r:1');
    });
  });

  test('are ignored if they have no majority', () => {
    scene((it) => {
      it.unheard.set('a', ['b', 'c']);
      it.down.add('b').add('c');
      it.until(1000);
      expect(it.ownerOfFirst).toBeUndefined();
      expect(it.topology.status).toEqual({
        up: false,
        reason: 'cluster: no server that knows a majority of its masters has answered',
      });
    });
  });
});

describe('the time at which the owners are confirmed', () => {
  test('is when a majority was asked last, less the time that gossip takes', () => {
    scene((it) => {
      expect(it.until(1400).topology.confirmedAt).toEqual({ ms: 0, wallMs: 0 });
      expect(it.until(1600).topology.confirmedAt).toEqual({ ms: 1100, wallMs: 1100 });
    });
  });

  test('is still that of the table before when the table changes', () => {
    scene((it) => {
      const seen: number[] = [];
      it.topology.table$.subscribe(() => seen.push(it.topology.confirmedAt.ms));
      it.at(1000, () => (it.informed = new Set(['b', 'c', 'r'])));
      it.until(1600);
      expect(seen.at(-1)).toBe(0);
      expect(it.topology.confirmedAt.ms).toBe(1100);
    });
  });

  test('stays the same while no majority answers, and after 5 s the status is down', () => {
    scene((it) => {
      it.at(1600, () => {
        it.lose('b');
        it.lose('c');
      });
      expect(it.until(6000).topology.confirmedAt.ms).toBe(1100);
      expect(it.topology.status).toEqual({ up: true });
      expect(it.until(7000).topology.status).toEqual({ up: false, reason: 'cluster: no majority of its masters answers' });
    });
  });
});

describe('a redirection', () => {
  test('changes the table at once, until the server that redirected has reported its view', () => {
    scene((it) => {
      it.at(100, () => it.topology.redirected('MOVED 0 b:1', 'a:1'));
      expect(it.until(200).ownerOfFirst).toBe('b:1');
      expect(it.until(1600).ownerOfFirst).toBe('a:1');
    });
  });

  test('is kept for 10 s if that server cannot be asked', () => {
    scene((it) => {
      it.at(100, () => it.topology.redirected('MOVED 0 b:1', 'r:1'));
      expect(it.until(9900).ownerOfFirst).toBe('b:1');
      expect(it.until(12_000).ownerOfFirst).toBe('a:1');
    });
  });

  test.each([
    ['MOVED 0 b:1', true],
    ['CLUSTERDOWN Hash slot not served', true],
    ['NOPERM no permissions', false],
  ])('tells whether another server, or the same one later, takes the channel: %s', (reason, elsewhere) => {
    scene((it) => {
      expect(it.until(100).topology.redirected(reason, 'a:1')).toBe(elsewhere);
    });
  });
});
