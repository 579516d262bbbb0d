import { describe, expect, test } from '@jest/globals';
import { EMPTY, NEVER, Observable, Subject, concat, ignoreElements, interval, of, timer } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { PublishError } from '../../src/broker/broker.js';
import { silentLogger } from '../../src/log.js';
import { Canary } from '../../src/redis/canary.js';
import { roomChannels } from '../../src/redis/channels.js';
import { isMaster$ } from '../../src/redis/master.js';
import { CANARY_INTERVAL_MS } from '../../src/redis/proof.js';
import { RedisSubscription } from '../../src/redis/subscription.js';
import { marbles, virtualWorld } from '../support/marbles.js';
import { ScriptedLink } from '../support/redis-link.js';

const TIMEOUT_MS = 300;

/** A subscription in virtual time; its canaries go through its own link, which is one Redis with it. */
class Scene {
  readonly link: ScriptedLink;
  readonly subscription: RedisSubscription;
  readonly publishable$ = new Subject<void>();
  /** Why canaries are not accepted, if they are not. */
  refusal: string | undefined;
  /** Whether somebody can be asked who is the master. */
  isKnown = true;
  /** What happened, as `{ms} {what}`. */
  readonly log: string[] = [];
  readonly scheduler: TestScheduler;

  constructor(scheduler: TestScheduler) {
    const world = virtualWorld(scheduler);
    this.scheduler = scheduler;
    this.link = new ScriptedLink(scheduler);
    const canary = new Canary({
      channel: () => 'test:canary:pod',
      publish: (channel, payload) => this.#publish(channel, payload),
      timeoutMs: TIMEOUT_MS,
      time: world,
    });
    this.subscription = new RedisSubscription({
      time: world,
      channels: roomChannels('test'),
      canary,
      publishable$: this.publishable$,
      verify: (link) => concat(isMaster$(link, TIMEOUT_MS, world), this.isKnown ? EMPTY : of('not known' as const)),
      misplacedChannel: 'test:misplaced',
      timeoutMs: TIMEOUT_MS,
      log: silentLogger,
      onStray: (heardMs) => {
        this.#note(`stray, after one of ${heardMs ?? 'never'}`);
      },
      together: (channels) => [channels],
      refused: () => false,
    });
    this.subscription.status$.subscribe((status) => {
      this.#note(status.up ? 'up' : `down: ${status.reason}`);
    });
  }

  /** Lives on the link until it ends by itself or by `unsubscribe`. */
  live() {
    return this.subscription.live(this.link).subscribe({
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
    return this.subscription.subscribe(room).subscribe((confirmed) => {
      this.#note(`${room} ${confirmed ? 'confirmed' : 'lost'}`);
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
        '1 down: subscription: not proven yet',
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
      expect(it.until(4000).at(-1)).toBe('1802 over: a canary was accepted and did not arrive within 300 ms');
    });
  });

  test('is not over while a canary may have to wait behind other messages, and is when they cease', () => {
    scene((it) => {
      it.live();
      it.at(1000, () => (it.link.echoes = false));
      for (const ms of [1600, 2000, 2300]) {
        it.at(ms, () => {
          it.link.say('test:room:tea', 'hello');
        });
      }
      expect(it.until(4000).at(-1)).toBe('2702 over: a canary was accepted and did not arrive within 300 ms');
    });
  });

  test('is over when canaries do not arrive, though other messages never cease', () => {
    scene((it) => {
      it.live();
      it.at(1000, () => (it.link.echoes = false));
      interval(100, it.scheduler).subscribe(() => {
        it.link.say('test:room:tea', 'hello');
      });
      expect(it.until(6000).at(-1)).toBe('3002 over: a canary was accepted and did not arrive within 300 ms');
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
        '2302 stray, after one of 1501',
        '2302 over: a canary was accepted and did not arrive within 300 ms',
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

describe('the since of a gap', () => {
  /** Through several canaries, and the moments in which one is in the air. */
  const breaks = Array.from({ length: 200 }, (_, nth) => 1600 + nth * 23);

  test.each([0, 1, 50, 200])('is at most 2 s and a timeout before the loss, with links that take %i ms to answer', (delayMs) => {
    for (const ms of breaks) {
      scene((it) => {
        it.link.outcome = () => timer(delayMs, it.scheduler).pipe(ignoreElements());
        expect(ms - it.sinceOfBreakAt(ms)).toBeLessThanOrEqual(CANARY_INTERVAL_MS + TIMEOUT_MS);
      });
    }
  });

  test('is a timeout at least before the last canary that came back, for what was under way at that moment', () => {
    for (const ms of breaks)
      scene((it) => {
        expect(ms - it.sinceOfBreakAt(ms)).toBeGreaterThanOrEqual(TIMEOUT_MS);
      });
  });

  test('is the last time at which it was known who is the master, where nobody could be asked since', () => {
    scene((it) => {
      it.at(4000, () => (it.isKnown = false));
      expect(it.sinceOfBreakAt(60_000)).toBe(3001 - TIMEOUT_MS);
    });
  });
});

describe('what another pod misplaced', () => {
  function misplaced(payload: string, atMs: number): readonly string[] {
    let told: readonly string[] = [];
    scene((it) => {
      it.join('tea');
      it.live();
      it.at(atMs, () => {
        it.link.say('test:misplaced', payload);
      });
      told = it.until(200).filter((line) => line.includes('gap'));
    });
    return told;
  }

  test('is a gap in all rooms, since the time that it names', () => {
    expect(misplaced('70 90', 100)).toEqual(['100 gap since 70 in all']);
  });

  test('is of no concern where it was over before this life was whole', () => {
    expect(misplaced('0 1', 100)).toEqual([]);
  });

  test('is not told twice: the gap of a life that is not whole yet is still to come', () => {
    expect(misplaced('70 90', 0)).toEqual([]);
  });

  test.each(['', 'x', '70', '70 x', '-1 90', '1e3 1e9', '70 9000000000000000', '{"sinceMs":70,"untilMs":90}'])(
    'is ignored where it says %j',
    (payload) => {
      expect(misplaced(payload, 100)).toEqual([]);
    },
  );
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
        '3002 gap since 700 in tea',
        '3002 tea confirmed',
      ]);
    });
  });
});

describe('a room that was heard elsewhere before', () => {
  test('is told its gap together with all that come with it', () => {
    scene((it) => {
      it.live();
      it.at(100, () => {
        it.subscription.subscribe('tea', 70).subscribe();
        it.subscription.subscribe('milk', 50).subscribe();
      });
      expect(it.until(200).slice(-1)).toEqual(['101 gap since -250 in tea,milk']);
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
      ).toEqual(['3000 hears tea', '3500 tea lost', '3501 gap since 2701 in tea', '3501 tea confirmed', '3510 hears tea']);
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
      expect(it.until(5100).filter((line) => line.includes('gap'))).toEqual(['5001 gap since 2701 in tea']);
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
