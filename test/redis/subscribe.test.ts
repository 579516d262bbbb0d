import { describe, expect, test } from '@jest/globals';
import { EMPTY, NEVER, ignoreElements, timer, type Observable } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { RefusedError } from '../../src/redis/link.js';
import { CHANNELS_PER_COMMAND, chunks, subscribe$, type SubscribeOptions } from '../../src/redis/subscribe.js';
import { marbles, virtualRuntime } from '../support/marbles.js';
import { ScriptedLink } from '../support/redis-link.js';

const TIMEOUT_MS = 300;

/** Subscribes a link in virtual time. */
class Scene {
  readonly link: ScriptedLink;
  /** The events, as `{ms} {event}`. */
  readonly log: string[] = [];
  readonly #scheduler: TestScheduler;

  constructor(scheduler: TestScheduler) {
    this.#scheduler = scheduler;
    this.link = new ScriptedLink(scheduler);
  }

  ask(channels: readonly string[], options: Partial<SubscribeOptions> = {}): void {
    const whole: SubscribeOptions = {
      time: virtualRuntime(this.#scheduler),
      timeoutMs: TIMEOUT_MS,
      batches: (all) => [all],
      confirmed: (channel) => {
        this.#note(`${channel} confirmed`);
      },
      isElsewhere: () => false,
      forbidden: (channel) => this.forbidden(channel),
      ...options,
    };
    subscribe$(this.link, channels, whole).subscribe({
      complete: () => {
        this.#note('complete');
      },
      error: (error: Error) => {
        this.#note(`over: ${error.message}`);
      },
    });
  }

  /** Called for a channel without access. */
  forbidden(channel: string): Observable<never> {
    this.#note(`${channel} forbidden`);
    return EMPTY;
  }

  /** The events before a time. */
  until(ms: number): readonly string[] {
    this.#scheduler.maxFrames = ms;
    this.#scheduler.flush();
    return this.log;
  }

  after(ms: number): Observable<never> {
    return timer(ms, this.#scheduler).pipe(ignoreElements());
  }

  #note(what: string): void {
    this.log.push(`${this.#scheduler.now()} ${what}`);
  }
}

function scene(play: (it: Scene) => void): void {
  marbles((_, scheduler) => {
    play(new Scene(scheduler));
  });
}

describe('channels that are subscribed to', () => {
  test('in one batch are confirmed with one command', () => {
    scene((it) => {
      it.ask(['a', 'b', 'c']);
      expect(it.until(100)).toEqual(['1 a confirmed', '1 b confirmed', '1 c confirmed', '1 complete']);
      expect(it.link.asked).toEqual(['0 SUBSCRIBE a b c']);
    });
  });

  test('in several batches are requested at once, and complete with the last', () => {
    scene((it) => {
      let commands = 0;
      it.link.outcome = () => it.after((commands += 10));
      it.ask(['a', 'b', 'c', 'd', 'e'], { batches: (all) => chunks(all, 2) });
      expect(it.link.asked).toEqual(['0 SUBSCRIBE a b', '0 SUBSCRIBE c d', '0 SUBSCRIBE e']);
      expect(it.until(100)).toEqual([
        ...['10 a confirmed', '10 b confirmed', '20 c confirmed', '20 d confirmed', '30 e confirmed'],
        '30 complete',
      ]);
    });
  });

  test('complete at once if there are none', () => {
    scene((it) => {
      it.ask([], { batches: () => [] });
      expect([it.log, it.link.asked]).toEqual([['0 complete'], []]);
    });
  });

  test('are not requested before the observable is subscribed to', () => {
    marbles((_, scheduler) => {
      const link = new ScriptedLink(scheduler);
      const never = { confirmed: () => undefined, isElsewhere: () => false, forbidden: () => EMPTY };
      subscribe$(link, ['a'], { time: virtualRuntime(scheduler), timeoutMs: TIMEOUT_MS, batches: (all) => [all], ...never });
      expect(link.asked).toEqual([]);
    });
  });
});

describe('a Redis that does not answer', () => {
  test('ends the subscription after the timeout', () => {
    scene((it) => {
      it.link.outcome = () => NEVER;
      it.ask(['a']);
      expect(it.until(TIMEOUT_MS - 1)).toEqual([]);
      expect(it.until(TIMEOUT_MS)).toEqual([`${TIMEOUT_MS} over: SUBSCRIBE was not answered within ${TIMEOUT_MS} ms`]);
    });
  });

  test('is waited for while bytes come from it', () => {
    scene((it) => {
      it.link.outcome = () => it.after(1000);
      it.ask(['a']);
      for (let ms = 0; ms < 1000; ms += 100) {
        it.after(ms).subscribe({
          complete: () => {
            it.link.trickle();
          },
        });
      }
      expect(it.until(1000)).toEqual(['1000 a confirmed', '1000 complete']);
    });
  });
});

describe('channels that Redis refuses', () => {
  test('are no error if they are elsewhere, and are not divided into halves', () => {
    scene((it) => {
      it.link.refused = new Set(['b']);
      it.link.refusal = 'MOVED 1 127.0.0.1:7001';
      const elsewhere: string[] = [];
      it.ask(['a', 'b', 'c'], {
        batches: (all) => chunks(all, 2),
        isElsewhere: (channels, error) => {
          elsewhere.push(`${channels.join(' ')}: ${(error as Error).message}`);
          return true;
        },
      });
      expect(it.until(100)).toEqual(['1 c confirmed', '1 complete']);
      expect(elsewhere).toEqual(['a b: MOVED 1 127.0.0.1:7001']);
      expect(it.link.asked).toHaveLength(2);
    });
  });

  test('are divided into halves, one after the other, until the one without access is found', () => {
    scene((it) => {
      it.link.refused = new Set(['c']);
      it.ask(['a', 'b', 'c', 'd', 'e']);
      expect(it.until(100)).toEqual([
        ...['3 a confirmed', '3 b confirmed', '4 c forbidden', '5 d confirmed', '5 e confirmed'],
        '5 complete',
      ]);
      expect(it.link.asked.map((asked) => asked.slice(2))).toEqual([
        'SUBSCRIBE a b c d e',
        'SUBSCRIBE a b c',
        'SUBSCRIBE a b',
        'SUBSCRIBE c',
        'SUBSCRIBE d e',
      ]);
    });
  });

  test('wait for the result of the one without access', () => {
    scene((it) => {
      it.link.refused = new Set(['a']);
      it.ask(['a', 'b'], { forbidden: () => it.after(50) });
      expect(it.until(100)).toEqual(['53 b confirmed', '53 complete']);
    });
  });

  test('end with the error of the one without access; the other half is not requested', () => {
    scene((it) => {
      it.link.refused = new Set(['a']);
      it.ask(['a', 'b'], {
        forbidden: (channel, error) => {
          throw new RefusedError(`channel ${channel}: ${error.message}`);
        },
      });
      expect(it.until(100)).toEqual(['2 over: channel a: NOPERM No permissions to access a channel']);
      expect(it.link.asked).toHaveLength(2);
    });
  });

  test.each([
    'NOPERM this user has no permissions to run the subscribe command',
    'ERR the channel is NOPERM',
    'LOADING Redis is loading the dataset in memory',
  ])('end with any other error reply: %s', (refusal) => {
    scene((it) => {
      it.link.refused = new Set(['a']);
      it.link.refusal = refusal;
      it.ask(['a', 'b']);
      expect(it.until(100)).toEqual([`1 over: ${refusal}`]);
      expect(it.link.asked).toHaveLength(1);
    });
  });
});

describe('chunks', () => {
  test.each([
    { count: 0, sizes: [] },
    { count: 1, sizes: [1] },
    { count: CHANNELS_PER_COMMAND, sizes: [CHANNELS_PER_COMMAND] },
    { count: CHANNELS_PER_COMMAND + 1, sizes: [CHANNELS_PER_COMMAND, 1] },
  ])('of $count values are $sizes long, and have all of them in order', ({ count, sizes }) => {
    const values = Array.from({ length: count }, (_, nth) => nth);
    const parts = chunks(values, CHANNELS_PER_COMMAND);
    expect(parts.map(({ length }) => length)).toEqual(sizes);
    expect(parts.flat()).toEqual(values);
  });
});
