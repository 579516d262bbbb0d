import { describe, expect, test } from '@jest/globals';
import {
  EMPTY,
  NEVER,
  Observable,
  Subject,
  concat,
  ignoreElements,
  interval,
  of,
  takeWhile,
  timer,
  type Subscription,
} from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { PublishError, RoomRefusedError } from '../../src/broker/broker.js';
import { silentLogger } from '../../src/runtime/log.js';
import { Canary } from '../../src/redis/liveness/canary.js';
import { roomChannels } from '../../src/redis/channels.js';
import { isMaster$ } from '../../src/redis/liveness/master.js';
import { CANARY_INTERVAL_MS } from '../../src/redis/liveness/health-check.js';
import { RedisSubscription } from '../../src/redis/subscription.js';
import { marbles, virtualRuntime } from '../support/marbles.js';
import { ScriptedLink } from '../support/redis-link.js';

const TIMEOUT_MS = 300;
/** A confirmed publish of a pod that serves is under way for this long at most. */
const MOST_UNDER_WAY_MS = 375;

/** A subscription in virtual time; its canaries go through its own link, which is one Redis with it. */
class Scene {
  readonly link: ScriptedLink;
  readonly subscription: RedisSubscription;
  readonly publishable$ = new Subject<void>();
  /** Why canaries are not accepted, if they are not. */
  refusal: string | undefined;
  /** Whether somebody can be asked who is the master. */
  isKnown = true;
  /** How far the machine's clock is off. */
  readonly clock = { offMs: 0 };
  /** What happened, as `{ms} {what}`. */
  readonly log: string[] = [];
  readonly scheduler: TestScheduler;
  /** Channels that the log names in a warning. */
  readonly warned: string[] = [];
  /** Which channels one SUBSCRIBE asks for. */
  batches: (channels: readonly string[]) => readonly (readonly string[])[] = (channels) => [channels];

  constructor(scheduler: TestScheduler) {
    const runtime = { ...virtualRuntime(scheduler), wallMs: () => scheduler.now() + this.clock.offMs };
    this.scheduler = scheduler;
    this.link = new ScriptedLink(scheduler);
    const canary = new Canary({
      channel: () => 'test:canary:pod',
      publish: (channel, payload) => this.#publish(channel, payload),
      timeoutMs: TIMEOUT_MS,
      time: runtime,
    });
    this.subscription = new RedisSubscription({
      time: runtime,
      channels: roomChannels('test'),
      canary,
      publishable$: this.publishable$,
      verify: (link) => concat(isMaster$(link, TIMEOUT_MS, runtime), this.isKnown ? EMPTY : of('unknown' as const)),
      announcementChannel: 'test:misplaced',
      timeoutMs: TIMEOUT_MS,
      log: Object.assign(Object.create(silentLogger) as typeof silentLogger, {
        warn: ({ channel }: { channel?: string }) => {
          if (channel !== undefined) this.warned.push(channel);
        },
      }),
      onLostCanary: (heard) => {
        this.#note(`stray, after one of ${heard?.ms ?? 'never'}`);
      },
      batches: (channels) => this.batches(channels),
      isElsewhere: () => false,
    });
    this.subscription.status$.subscribe((status) => {
      this.#note(status.up ? 'up' : `down: ${status.reason}`);
    });
  }

  /** Lives on the link until it ends by itself or by `unsubscribe`. */
  live() {
    return this.subscription.session$(this.link).subscribe({
      next: (event) => {
        this.#note(
          event.kind === 'gap' ? `gap since ${event.sinceMs} in ${[...(event.rooms ?? ['all'])].join()}` : `hears ${event.room}`,
        );
      },
      error: (error: Error) => {
        this.#note(`over: ${error.message}`);
      },
    });
  }

  join(room: string) {
    return this.subscription.subscribe(room).subscribe({
      next: (confirmed) => {
        this.#note(`${room} ${confirmed ? 'confirmed' : 'lost'}`);
      },
      error: (error: unknown) => {
        this.#note(`${room} ${error instanceof RoomRefusedError ? 'refused' : String(error)}`);
      },
    });
  }

  at(ms: number, act: () => void): void {
    timer(ms, this.scheduler).subscribe(act);
  }

  /** Everything that happens before this. */
  until(ms: number): readonly string[] {
    this.scheduler.maxFrames = ms;
    this.scheduler.flush();
    return this.log;
  }

  /** A life whose link breaks at a moment, and the next one at once; returns the `since` of the gap that it tells. */
  sinceOfBreakAt(ms: number): number {
    this.join('tea');
    const life = this.live();
    this.at(ms, () => {
      life.unsubscribe();
      this.live();
    });
    const told = this.until(ms + 500).find((line) => line.includes('gap since'));
    return Number(/since (-?\d+)/.exec(told ?? '')?.[1]);
  }

  get canaries(): readonly string[] {
    return this.link.asked.filter((asked) => asked.includes('PUBLISH'));
  }

  #publish(channel: string, payload: string): Observable<never> {
    return new Observable((subscriber) => {
      if (this.refusal !== undefined) subscriber.error(new PublishError('unavailable', this.refusal));
      else
        this.link.publish(channel, payload, () => {
          subscriber.complete();
        });
    });
  }

  #note(what: string): void {
    this.log.push(`${this.scheduler.now()} ${what}`);
  }
}

function scene(play: (scene: Scene) => void): void {
  marbles((_, scheduler) => {
    play(new Scene(scheduler));
  });
}

describe('a life', () => {
  test('subscribes to everything that is wanted and to its canary, confirms it, and is up when a canary has come back', () => {
    scene((it) => {
      it.join('tea');
      it.live();
      expect(it.until(100)).toEqual([
        '0 down: subscription: not connected yet',
        '1 tea confirmed',
        '1 down: subscription: not checked yet',
        '2 up',
      ]);
      expect(it.link.asked).toEqual([
        '0 SUBSCRIBE test:canary:pod test:misplaced test:room:tea',
        '1 PUBLISH test:canary:pod 1',
        '1 ROLE',
      ]);
    });
  });

  test('sends a canary every 1.5 s and asks whether its server is still a master', () => {
    scene((it) => {
      it.live();
      it.until(6500);
      expect(it.canaries.map((one) => one.split(' ')[0])).toEqual(['1', '1501', '3001', '4501', '6001']);
      expect(it.link.asked.filter((one) => one.endsWith('ROLE')).map((one) => one.split(' ')[0])).toEqual(
        it.canaries.map((one) => one.split(' ')[0]),
      );
      expect(it.log.at(-1)).toBe('2 up');
    });
  });

  test('is over when a canary was accepted and did not arrive in time', () => {
    scene((it) => {
      it.live();
      it.at(1000, () => (it.link.echoes = false));
      expect(it.until(4000).at(-1)).toBe('1803 over: a canary was accepted and did not arrive within 300 ms');
    });
  });

  /** From a second on no canary comes, but messages do for some time, and the server's answers wait behind them. */
  function behindMessages(it: Scene, untilMs: number): void {
    it.at(1000, () => {
      it.link.echoes = false;
      it.link.outcome = (command) =>
        command === 'ROLE' ? timer(untilMs - it.scheduler.now(), it.scheduler).pipe(ignoreElements()) : timerOf(it);
    });
    interval(100, it.scheduler)
      .pipe(takeWhile(() => it.scheduler.now() <= untilMs))
      .subscribe(() => {
        it.link.say('test:room:tea', 'hello');
      });
  }

  test('is not over while a canary may have to wait behind other messages, and is when an answer came that has to come later', () => {
    scene((it) => {
      it.live();
      behindMessages(it, 2700);
      expect(it.until(2699).at(-1)).toBe('2 up');
      expect(it.until(4000).at(-1)).toBe('3000 over: a canary was accepted and did not arrive within 300 ms');
    });
  });

  test('is over when canaries do not arrive, though other messages never cease: its line is too thin, and the publisher stays', () => {
    scene((it) => {
      const first = it.live();
      it.at(500, () => {
        first.unsubscribe();
        it.link.echoes = false;
        it.live();
      });
      behindMessages(it, 9000);
      it.at(400, () => (it.link.outcome = (command) => (command === 'ROLE' ? NEVER : timerOf(it))));
      expect(it.until(6000).slice(-2)).toEqual([
        '501 down: subscription: not checked yet',
        '2002 over: a canary did not come through within 300 ms, nor 1500 ms behind other messages',
      ]);
    });
  });

  test('is not over while a large message comes slowly', () => {
    scene((it) => {
      it.live();
      it.at(1000, () => {
        it.link.echoes = false;
        it.link.outcome = (command) => (command === 'ROLE' ? NEVER : timerOf(it));
      });
      interval(100, it.scheduler).subscribe(() => {
        it.link.trickle();
      });
      expect(it.until(2900).at(-1)).toBe('2 up');
    });
  });

  test('says that canaries stray where the first of a life is accepted and does not arrive, and when one did last', () => {
    scene((it) => {
      const first = it.live();
      it.at(2000, () => {
        first.unsubscribe();
        it.link.echoes = false;
        it.live();
      });
      expect(it.until(3000).slice(-2)).toEqual([
        '2303 stray, after one of 1501',
        '2303 over: a canary was accepted and did not arrive within 300 ms',
      ]);
    });
  });

  test('does not wait for the canary of a publisher that was replaced: it may have gone to another server', () => {
    scene((it) => {
      it.link.echoes = false;
      it.live();
      it.at(100, () => {
        it.link.echoes = true;
        it.publishable$.next(undefined);
      });
      expect(it.until(1000).at(-1)).toBe('101 up');
    });
  });

  test('is over when its server has become a replica', () => {
    scene((it) => {
      it.live();
      it.at(1000, () => (it.link.role = 'slave'));
      expect(it.until(4000).at(-1)).toBe('1502 over: the server is a slave, not a master');
    });
  });

  test('is over when the server does not answer', () => {
    scene((it) => {
      it.live();
      it.at(1000, () => (it.link.outcome = (command) => (command === 'ROLE' ? NEVER : timerOf(it))));
      expect(it.until(4000).at(-1)).toBe('2101 over: ROLE was not answered within 300 ms');
    });
  });

  test('is over when a SUBSCRIBE is not confirmed', () => {
    scene((it) => {
      it.link.outcome = () => NEVER;
      it.live();
      expect(it.until(1000).at(-1)).toBe('300 over: SUBSCRIBE was not answered within 300 ms');
    });
  });

  test('goes on when a canary is not accepted, but is not up, and tries again as soon as it may', () => {
    scene((it) => {
      it.live();
      it.at(1000, () => (it.refusal = 'NOPERM'));
      it.at(2500, () => {
        it.refusal = undefined;
        it.publishable$.next();
      });
      expect(it.until(3000).slice(-3)).toEqual(['2 up', '1502 down: canary: NOPERM', '2501 up']);
    });
  });

  test('that has ended asks for nothing any more', () => {
    scene((it) => {
      const life = it.live();
      it.at(100, () => {
        life.unsubscribe();
      });
      it.until(10_000);
      expect(it.canaries).toHaveLength(1);
    });
  });
});

describe('a room that is left and entered again', () => {
  test('while its SUBSCRIBE is under way is confirmed by the second one alone', () => {
    scene((it) => {
      it.live();
      it.at(100, () => {
        it.link.outcome = () => timer(50, it.scheduler).pipe(ignoreElements());
        const first = it.join('tea');
        it.at(10, () => {
          first.unsubscribe();
        });
        it.at(20, () => {
          it.join('tea');
        });
      });
      expect(it.until(300).filter((line) => line.includes('tea'))).toEqual(['170 tea confirmed']);
      expect(it.link.asked.slice(3)).toEqual([
        '100 SUBSCRIBE test:room:tea',
        '110 UNSUBSCRIBE test:room:tea',
        '120 SUBSCRIBE test:room:tea',
      ]);
    });
  });

  test('between two lives is told nothing of what the one before missed', () => {
    scene((it) => {
      const tea = it.join('tea');
      const first = it.live();
      it.at(3500, () => {
        first.unsubscribe();
        tea.unsubscribe();
        it.join('tea');
        it.live();
      });
      expect(it.until(3600).filter((line) => /gap|tea/.test(line))).toEqual([
        '1 tea confirmed',
        '3500 tea lost',
        '3501 tea confirmed',
      ]);
    });
  });
});

describe('rooms that are left', () => {
  test('in one turn are unsubscribed from with one command', () => {
    scene((it) => {
      const rooms = ['tea', 'milk', 'jam'].map((room) => it.join(room));
      it.live();
      it.at(100, () => {
        for (const room of rooms) room.unsubscribe();
      });
      it.until(200);
      expect(it.link.asked.filter((asked) => asked.includes('UNSUBSCRIBE'))).toEqual([
        '100 UNSUBSCRIBE test:room:tea test:room:milk test:room:jam',
      ]);
    });
  });

  test('and wanted again in one turn are kept at Redis, and confirmed once more', () => {
    scene((it) => {
      const tea = it.join('tea');
      it.live();
      it.at(100, () => {
        tea.unsubscribe();
        it.join('tea');
      });
      expect(it.until(200).filter((line) => line.includes('tea'))).toEqual(['1 tea confirmed', '101 tea confirmed']);
      expect(it.link.asked.slice(3)).toEqual(['100 SUBSCRIBE test:room:tea']);
    });
  });

  test('between two lives are asked for by neither', () => {
    scene((it) => {
      const tea = it.join('tea');
      const life = it.live();
      it.at(100, () => {
        tea.unsubscribe();
        life.unsubscribe();
        it.live();
      });
      it.until(200);
      expect(it.link.asked.slice(3).filter((asked) => asked.includes('tea'))).toEqual([]);
    });
  });
});

describe('channels that Redis refuses', () => {
  /** Redis refuses every SUBSCRIBE that names one of the channels. */
  function refusing(it: Scene, ...channels: readonly string[]): void {
    it.link.refused = new Set(channels);
  }

  const ROOMS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

  test('cost the rooms that are theirs, and no others; the log names them', () => {
    scene((it) => {
      refusing(it, 'test:room:c', 'test:room:h');
      it.live();
      it.at(100, () => {
        for (const room of ROOMS) it.join(room);
      });
      const told = it.until(200).filter((line) => /confirmed|refused/.test(line));
      expect(told.map((line) => line.slice(line.indexOf(' ') + 1)).sort()).toEqual([
        'a confirmed',
        'b confirmed',
        'c refused',
        'd confirmed',
        'e confirmed',
        'f confirmed',
        'g confirmed',
        'h refused',
      ]);
      expect(it.warned).toEqual(['test:room:c', 'test:room:h']);
      expect(it.log.filter((line) => line.includes('over'))).toEqual([]);
    });
  });

  test('are found by halves: two questions for each time that the channels can be halved', () => {
    scene((it) => {
      refusing(it, 'test:room:c');
      it.live();
      it.at(100, () => {
        for (const room of ROOMS) it.join(room);
      });
      it.until(200);
      expect(it.link.asked.filter((asked) => asked.includes(' SUBSCRIBE test:room')).length).toBe(7);
    });
  });

  test('are found at the beginning of a life too, which is up without them', () => {
    scene((it) => {
      refusing(it, 'test:room:c');
      for (const room of ROOMS) it.join(room);
      it.live();
      const told = it.until(200);
      expect(told.filter((line) => line.endsWith(' confirmed')).length).toBe(7);
      expect(told.filter((line) => line.endsWith('c refused')).length).toBe(1);
      expect(told.at(-1)).toMatch(/up$/);
    });
  });

  test('are asked for one half after the other, so that nobody is left to hear of a refusal when the first ends the life', () => {
    scene((it) => {
      refusing(it, 'test:canary:pod', 'test:room:h');
      for (const room of ROOMS) it.join(room);
      it.live();
      it.until(200);
      expect(it.link.asked.filter((asked) => asked.includes('SUBSCRIBE test:room'))).toEqual([]);
      expect(it.log.at(-1)).toContain('over: channel test:canary:pod');
    });
  });

  test('are not asked for by the next life', () => {
    scene((it) => {
      refusing(it, 'test:room:c');
      it.join('c');
      const life = it.live();
      it.at(100, () => {
        it.link.asked.splice(0);
        life.unsubscribe();
        it.live();
      });
      it.until(200);
      expect(it.link.asked[0]).toBe('100 SUBSCRIBE test:canary:pod test:misplaced');
    });
  });

  test.each(['test:canary:pod', 'test:misplaced', 'test:global'])(
    'and are the pod’s own, as %s, end the life and cost no room anything',
    (channel) => {
      scene((it) => {
        refusing(it, channel);
        it.join('');
        it.join('tea');
        it.live();
        const told = it.until(200);
        expect(told.at(-1)).toContain(`over: channel ${channel}: NOPERM`);
        expect(told.filter((line) => line.includes('refused'))).toEqual([]);
        expect(it.warned).toEqual([]);
      });
    },
  );

  test('all batches, as for a user who may hear nothing, end the life and cost no room anything', () => {
    scene((it) => {
      refusing(it, 'test:canary:pod', 'test:misplaced', 'test:global', 'test:room:tea', 'test:room:milk');
      for (const room of ['', 'tea', 'milk']) it.join(room);
      it.live();
      const told = it.until(200);
      expect(told.at(-1)).toContain('over: channel test:canary:pod: NOPERM');
      expect(told.filter((line) => line.includes('refused'))).toEqual([]);
    });
  });

  test('all batches end the life and cost no room anything, though the rooms are asked for apart and first', () => {
    scene((it) => {
      refusing(it, 'test:canary:pod', 'test:misplaced', 'test:room:tea');
      it.batches = (channels) => channels.map((channel) => [channel]).reverse();
      it.join('tea');
      it.live();
      const told = it.until(200);
      expect(told.at(-1)).toContain('NOPERM');
      expect(told.filter((line) => line.includes('refused'))).toEqual([]);
    });
  });

  test('are no matter to a room that was left before the answer came', () => {
    scene((it) => {
      refusing(it, 'test:room:c');
      it.live();
      it.at(100, () => {
        const c = it.join('c');
        it.at(1, () => {
          c.unsubscribe();
        });
        it.link.outcome = () => timer(10, it.scheduler).pipe(ignoreElements());
      });
      expect(it.until(200).filter((line) => line.includes(' c '))).toEqual([]);
      expect(it.warned).toEqual([]);
    });
  });

  test.each(['NOPERM this user has no permissions to run the command', 'ERR unknown command', 'LOADING Redis is loading'])(
    'for another reason end the life: %s',
    (reason) => {
      scene((it) => {
        refusing(it, 'test:room:c');
        it.link.refusal = reason;
        it.join('c');
        it.live();
        const told = it.until(200);
        expect(told.at(-1)).toContain(`over: ${reason}`);
        expect(told.filter((line) => line.includes('refused'))).toEqual([]);
      });
    },
  );
});

describe('what comes before a life is whole', () => {
  test('is passed on only behind the gap, though Redis has confirmed its room', () => {
    scene((it) => {
      it.join('tea');
      const first = it.live();
      it.at(100, () => {
        first.unsubscribe();
        it.batches = (channels) => [
          channels.filter((channel) => channel.endsWith('tea')),
          channels.filter((channel) => !channel.endsWith('tea')),
        ];
        let asked = 0;
        it.link.outcome = () => timer((asked += 1) === 1 ? 1 : 50, it.scheduler).pipe(ignoreElements());
        it.live();
      });
      for (const ms of [110, 160]) {
        it.at(ms, () => {
          it.link.say('test:room:tea', 'hello');
        });
      }
      expect(it.until(200).filter((line) => /gap|hears|tea/.test(line))).toEqual([
        '1 tea confirmed',
        '100 tea lost',
        expect.stringMatching(/^150 gap since/),
        '150 tea confirmed',
        '160 hears tea',
      ]);
    });
  });
});

describe('the since of a gap', () => {
  /** Through several canaries, and the moments in which one is in the air. */
  const breaks = Array.from({ length: 200 }, (_, nth) => 1600 + nth * 23);

  test.each([0, 1, 50, 200])(
    'is at most 2 s and five quarters of a timeout before the loss, with links that take %i ms to answer',
    (delayMs) => {
      for (const ms of breaks) {
        scene((it) => {
          it.link.outcome = () => timer(delayMs, it.scheduler).pipe(ignoreElements());
          expect(ms - it.sinceOfBreakAt(ms)).toBeLessThanOrEqual(CANARY_INTERVAL_MS + MOST_UNDER_WAY_MS);
        });
      }
    },
  );

  test('is five quarters of a timeout at least before the last canary that came back, for what was under way at that moment', () => {
    for (const ms of breaks)
      scene((it) => {
        expect(ms - it.sinceOfBreakAt(ms)).toBeGreaterThanOrEqual(MOST_UNDER_WAY_MS);
      });
  });

  test('is the last time at which it was known who is the master, where nobody could be asked since', () => {
    scene((it) => {
      it.at(4000, () => (it.isKnown = false));
      expect(it.sinceOfBreakAt(60_000)).toBe(3001 - MOST_UNDER_WAY_MS);
    });
  });
});

describe('what another pod misplaced', () => {
  /** The gaps that come of announcements, each at a time. */
  function gapsOf(
    announced: readonly (readonly [atMs: number, payload: string])[],
    play?: (it: Scene, first: Subscription) => void,
  ): readonly string[] {
    let told: readonly string[] = [];
    scene((it) => {
      it.join('tea');
      const first = it.live();
      play?.(it, first);
      for (const [ms, payload] of announced) {
        it.at(ms, () => {
          it.link.say('test:misplaced', payload);
        });
      }
      told = it.until(5000).filter((line) => line.includes('gap'));
    });
    return told;
  }

  // The last canary that came back was sent at 1501.
  const provenMs = 1501 - MOST_UNDER_WAY_MS;

  test.each([
    { what: 'equal to ours', wallMs: 1100 },
    { what: 'far ahead of ours', wallMs: 9_000_000 },
  ])('is a gap in all rooms since the age that it names, with a clock $what', ({ wallMs }) => {
    expect(gapsOf([[2000, `2 a 700 ${wallMs}`]])).toEqual([`2000 gap since ${provenMs - 700} in all`]);
  });

  test('is a gap since the time that it names, where that is earlier: messages bear times of that clock', () => {
    expect(gapsOf([[2000, '2 a 700 -9000']])).toEqual(['2000 gap since -9000 in all']);
  });

  test('is as old as that makes it also while canaries are refused: the server answers questions', () => {
    const gaps = gapsOf([[4000, '2 a 700 9000']], (it) => {
      it.at(1000, () => (it.refusal = 'OOM'));
    });
    // It was asked last at 3001.
    expect(gaps).toEqual([`4000 gap since ${3001 - MOST_UNDER_WAY_MS - 700} in all`]);
  });

  test('is a gap also where it was over before this life was whole, whatever the clocks say', () => {
    expect(gapsOf([[2000, '2 a 9000 5']])).toEqual([`2000 gap since ${provenMs - 9000} in all`]);
    expect(gapsOf([[2000, '2 a 1 99999999']])).toEqual([`2000 gap since ${provenMs - 1} in all`]);
  });

  test('that comes before this life is whole is told when it is: the gap of this life need not reach back that far', () => {
    expect(gapsOf([[0, '2 a 700 9000']])).toEqual([`1 gap since ${0 - MOST_UNDER_WAY_MS - 700} in all`]);
  });

  test('that comes to a life which dies before it is whole is told by the next one', () => {
    const gaps = gapsOf([[1010, '2 a 700 9000']], (it, first) => {
      it.at(1000, () => {
        first.unsubscribe();
        it.link.outcome = () => NEVER;
        const life = it.live();
        it.at(100, () => {
          life.unsubscribe();
          it.link.outcome = () => timerOf(it);
          it.live();
        });
      });
    });
    expect(gaps.filter((line) => line.endsWith('all'))).toEqual([`1101 gap since ${1000 - MOST_UNDER_WAY_MS - 700} in all`]);
  });

  test('is a gap before what comes right behind it, which the other pod publishes to this server now', () => {
    scene((it) => {
      it.join('tea');
      it.live();
      it.at(2000, () => {
        it.link.say('test:misplaced', '2 a 700 9000');
        it.link.say('test:room:tea', 'later');
      });
      expect(
        it
          .until(2001)
          .slice(-2)
          .map((line) => line.replace(/ since.*/, '')),
      ).toEqual(['2000 gap', '2000 hears tea']);
    });
  });

  test('is a gap for each that comes, but none where one is repeated', () => {
    expect(
      gapsOf([
        [2000, '2 a 700 9000'],
        [2000, '2 b 900 9000'],
        [2500, '2 a 1200 9000'],
      ]),
    ).toEqual([`2000 gap since ${provenMs - 700} in all`, `2000 gap since ${provenMs - 900} in all`]);
  });

  test('is heard from a pod of the version before, too', () => {
    expect(gapsOf([[2000, '70 90']])).toEqual(['2000 gap since 70 in all']);
  });

  test.each(['', 'x', '2 a 700', '{"sinceMs":70,"untilMs":90}'])('is ignored where it says %j', (payload) => {
    expect(gapsOf([[2000, payload]])).toEqual([]);
  });
});

describe('a machine whose clock is set', () => {
  test.each([
    { what: 'back', setByMs: -3_600_000, since: 3001 - 3_600_000 - MOST_UNDER_WAY_MS },
    { what: 'forward', setByMs: 3_600_000, since: 3001 - MOST_UNDER_WAY_MS },
  ])('$what between the last proof and the gap gives the earlier time to it', ({ setByMs, since }) => {
    scene((it) => {
      it.join('tea');
      const first = it.live();
      it.at(3500, () => {
        it.clock.offMs = setByMs;
        first.unsubscribe();
        it.live();
      });
      expect(it.until(3600).filter((line) => line.includes('gap'))).toEqual([`3501 gap since ${since} in tea`]);
    });
  });
});

describe('a room that its server takes away', () => {
  test('is lost, asked for again, and told a gap when it is confirmed; the others notice nothing', () => {
    scene((it) => {
      it.join('tea');
      it.join('milk');
      it.live();
      it.at(3000, () => {
        it.link.take('test:room:tea');
      });
      it.at(3000, () => {
        it.link.say('test:room:milk', 'hello');
      });
      expect(it.until(3500).slice(-4)).toEqual([
        '3000 hears milk',
        '3000 tea lost',
        '3002 gap since 625 in tea',
        '3002 tea confirmed',
      ]);
    });
  });
});

describe('a room that was heard elsewhere before', () => {
  test('is told its gap batches with all that come with it', () => {
    scene((it) => {
      it.live();
      it.at(100, () => {
        it.subscription.subscribe('tea', { ms: 70, wallMs: 70 }).subscribe();
        it.subscription.subscribe('milk', { ms: 50, wallMs: 50 }).subscribe();
      });
      expect(it.until(200).slice(-1)).toEqual(['101 gap since -325 in tea,milk']);
    });
  });
});

describe('a second life', () => {
  test('tells a gap since the last canary that came back was sent, less the timeout of a publish, before anything else', () => {
    scene((it) => {
      it.join('tea');
      const first = it.live();
      it.at(3000, () => {
        it.link.say('test:room:tea', 'hello');
      });
      it.at(3500, () => {
        first.unsubscribe();
        it.live();
        it.link.say('test:room:tea', 'too early');
      });
      it.at(3510, () => {
        it.link.say('test:room:tea', 'hello');
      });
      expect(
        it
          .until(3600)
          .slice(4)
          .filter((line) => !/up|down/.test(line)),
      ).toEqual(['3000 hears tea', '3500 tea lost', '3501 gap since 2626 in tea', '3501 tea confirmed', '3510 hears tea']);
    });
  });

  test('that dies before it is whole loses nothing of what is to be told', () => {
    scene((it) => {
      it.join('tea');
      const first = it.live();
      it.at(3500, () => {
        first.unsubscribe();
        it.link.outcome = () => NEVER;
        it.live();
      });
      it.at(5000, () => {
        it.link.outcome = () => timerOf(it);
        it.live();
      });
      expect(it.until(5100).filter((line) => line.includes('gap'))).toEqual(['5001 gap since 2626 in tea']);
    });
  });

  test('tells no gap of a room that was not open before', () => {
    scene((it) => {
      const first = it.live();
      it.at(100, () => {
        first.unsubscribe();
        it.join('tea');
        it.live();
      });
      const log = it.until(200);
      expect(log.filter((line) => line.includes('gap'))).toEqual([]);
      expect(log).toContain('101 tea confirmed');
    });
  });
});

/** An answer after a millisecond. */
function timerOf(it: Scene): Observable<never> {
  return new ScriptedLink(it.scheduler).outcome('');
}
