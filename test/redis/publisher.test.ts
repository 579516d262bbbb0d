import { describe, expect, test } from '@jest/globals';
import { EMPTY, NEVER, concat, ignoreElements, of, throwError, timer } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import type { PublishError } from '../../src/broker/broker.js';
import { LinkError, RefusedError } from '../../src/redis/link.js';
import { isMaster$ } from '../../src/redis/liveness/master.js';
import { RedisPublisher } from '../../src/redis/publisher.js';
import { marbles, virtualRuntime } from '../support/marbles.js';
import { ScriptedLink } from '../support/redis-link.js';

const TIMEOUT_MS = 300;

/** A publisher in virtual time. */
class Scene {
  readonly link: ScriptedLink;
  readonly publisher: RedisPublisher;
  /** The server of the link. */
  server = 'here';
  /** Whether it is known who is the master. */
  isKnown = true;
  /** The events, as `{ms} {event}`. */
  readonly log: string[] = [];
  readonly scheduler: TestScheduler;

  constructor(scheduler: TestScheduler) {
    const time = virtualRuntime(scheduler);
    this.scheduler = scheduler;
    this.link = new ScriptedLink(scheduler);
    this.publisher = new RedisPublisher({
      time,
      timeoutMs: TIMEOUT_MS,
      verify: (link) => concat(isMaster$(link, TIMEOUT_MS, time), this.isKnown ? EMPTY : of('unknown' as const)),
      announce: { channel: 'test:misplaced', serverOf: () => this.server },
    });
  }

  start() {
    return this.publisher.session$(this.link).subscribe({
      error: (error: Error) => {
        this.#note(`ended: ${error.message}`);
      },
    });
  }

  publish(text: string): void {
    this.publisher.publish('test:room:tea', text).subscribe({
      error: ({ code }: PublishError) => {
        this.#note(`${text} ${code}`);
      },
      complete: () => {
        this.#note(`${text} accepted`);
      },
    });
  }

  /** The announced spans, as `{ms} since {since}`, each once. Their ages have to agree with their times. */
  get announced(): readonly string[] {
    const lines = this.announcements.map(({ ms, id, ageMs, wallMs }) => {
      // An age is written a thousandth older.
      expect(ageMs - (ms - wallMs)).toBeGreaterThanOrEqual(0);
      expect(ageMs - (ms - wallMs)).toBeLessThanOrEqual(1 + (ms - wallMs) / 1000);
      return { id, line: `${ms} since ${wallMs}` };
    });
    return lines.filter(({ id }, nth) => lines.findIndex((other) => other.id === id) === nth).map(({ line }) => line);
  }

  get announcements() {
    return this.link.asked.flatMap((asked) => {
      const [ms, , channel, version, id = '', ageMs, wallMs] = asked.split(' ');
      return channel === 'test:misplaced' && version === '2'
        ? [{ ms: Number(ms), id, ageMs: Number(ageMs), wallMs: Number(wallMs) }]
        : [];
    });
  }

  at(ms: number, act: () => void): void {
    timer(ms, this.scheduler).subscribe(act);
  }

  /** The events before a time. */
  until(ms: number): readonly string[] {
    this.scheduler.maxFrames = ms;
    this.scheduler.flush();
    return this.log;
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

describe('a publish', () => {
  test('is accepted when Redis replies', () => {
    scene((it) => {
      it.start();
      it.publish('hello');
      expect(it.until(100)).toEqual(['1 hello accepted']);
    });
  });

  test('is unavailable without a connection, and is not queued', () => {
    scene((it) => {
      it.publish('hello');
      it.start();
      expect(it.until(100)).toEqual(['0 hello unavailable']);
      expect(it.link.asked).toEqual([]);
    });
  });

  test('is unavailable if Redis refuses it, and the session goes on', () => {
    scene((it) => {
      it.start();
      it.link.outcome = () => throwError(() => new RefusedError('NOPERM'));
      it.publish('hello');
      expect(it.until(100)).toEqual(['0 hello unavailable']);
    });
  });

  test('is unconfirmed if its connection is lost', () => {
    scene((it) => {
      it.start();
      it.link.outcome = () => throwError(() => new LinkError('broken'));
      it.publish('hello');
      expect(it.until(100)).toEqual(['0 hello unconfirmed']);
    });
  });

  test('without a reply in time ends the session, and all pending publishes are unconfirmed', () => {
    scene((it) => {
      it.start();
      it.at(10, () => {
        it.publish('answered');
      });
      it.at(20, () => (it.link.outcome = () => NEVER));
      it.at(60, () => {
        it.publish('first');
      });
      it.at(200, () => {
        it.publish('second');
      });
      expect(it.until(1000)).toEqual([
        '11 answered accepted',
        '360 ended: a publish was not confirmed within 300 ms',
        '360 first unconfirmed',
        '360 second unconfirmed',
      ]);
    });
  });

  test('has a deadline of its own, though earlier ones are confirmed all the time', () => {
    scene((it) => {
      it.start();
      // A slow connection: a reply every 26 ms, with ten publishes every 100 ms.
      let freeMs = 0;
      it.link.outcome = () => {
        freeMs = Math.max(freeMs, it.scheduler.now()) + 26;
        return timer(freeMs - it.scheduler.now(), it.scheduler).pipe(ignoreElements());
      };
      for (let nth = 0; nth < 10; nth++) {
        it.at(100 * nth, () => {
          for (let count = 0; count < 10; count++) it.publish(`${nth}.${count}`);
        });
      }
      const log = it.until(1000);
      expect(log.find((line) => line.includes('ended'))).toBe('400 ended: a publish was not confirmed within 300 ms');
      const results = log.filter((line) => !line.includes('ended')).map((line) => line.split(/[ .]/).map(Number));
      const lateMs = results.map(([settledMs = 0, nth = 0]) => settledMs - 100 * nth);
      expect(Math.max(...lateMs)).toBe(300);
    });
  });

  test('that is pending when the session is unsubscribed from is unconfirmed', () => {
    scene((it) => {
      const session = it.start();
      it.link.outcome = () => NEVER;
      it.publish('hello');
      it.at(50, () => {
        session.unsubscribe();
      });
      expect(it.until(1000)).toEqual(['50 hello unconfirmed']);
    });
  });
});

describe('a session', () => {
  test('sends ROLE every 1.5 s, and ends when its server is not a master', () => {
    scene((it) => {
      it.start();
      it.at(3500, () => (it.link.role = 'slave'));
      expect(it.until(10_000)).toEqual(['4501 ended: the server is a slave, not a master']);
      expect(it.link.asked).toEqual(['1500 ROLE', '3000 ROLE', '4500 ROLE']);
    });
  });

  test('ends when it is idle and its server does not reply', () => {
    scene((it) => {
      it.start();
      it.link.outcome = () => NEVER;
      expect(it.until(10_000)).toEqual(['1800 ended: ROLE was not answered within 300 ms']);
    });
  });
});

describe('messages published to a demoted master', () => {
  test('are announced by the next session, since the server was last confirmed as the master', () => {
    scene((it) => {
      it.start();
      it.at(3200, () => {
        it.publish('misplaced');
      });
      it.at(3500, () => (it.link.role = 'slave'));
      it.at(5000, () => {
        it.start();
      });
      it.until(6000);
      expect(it.announced).toEqual(['5000 since 2625']);
    });
  });

  test('are announced if the next session is at another server, however the session ended', () => {
    scene((it) => {
      const session = it.start();
      it.at(2500, () => {
        it.publish('misplaced');
        session.unsubscribe();
        it.server = 'there';
        it.start();
      });
      it.until(3000);
      expect(it.announced).toEqual(['2500 since 1125']);
    });
  });

  test('are announced after a lost canary, since the last canary that arrived', () => {
    scene((it) => {
      it.start();
      it.at(3100, () => {
        it.publish('misplaced');
        it.publisher.canaryLost({ ms: 700, wallMs: 700 });
        it.publisher.canaryLost({ ms: 700, wallMs: 700 });
      });
      it.at(4000, () => {
        it.start();
      });
      expect(it.until(5000)).toEqual(['3100 ended: what is published does not arrive', '3100 misplaced unconfirmed']);
      expect(it.announced).toEqual(['4000 since 325']);
    });
  });

  test.each([
    { when: 'before the session ends', atMs: 2400, announced: ['2500 since 1125'] },
    { when: 'before its server is confirmed as the master again', atMs: 1400, announced: [] },
  ])('are announced if another connection notices the demotion $when: $announced', ({ atMs, announced }) => {
    scene((it) => {
      const session = it.start();
      it.at(atMs, () => {
        it.publisher.masterDemoted();
      });
      it.at(2500, () => {
        it.publish('misplaced');
        session.unsubscribe();
        it.start();
      });
      it.until(3000);
      expect(it.announced).toEqual(announced);
    });
  });

  test('are announced again if Redis refused the announcement', () => {
    scene((it) => {
      const first = it.start();
      it.at(500, () => {
        it.publish('misplaced');
        first.unsubscribe();
        it.server = 'there';
        it.link.outcome = () => throwError(() => new RefusedError('OOM'));
        it.start();
      });
      it.at(1000, () => (it.link.outcome = () => timer(1, it.scheduler).pipe(ignoreElements())));
      it.until(4000);
      // Refused, with an age of its own each time; then accepted, and repeated.
      expect(it.announcements.map(({ ms, ageMs }) => `${ms} ${ageMs}`)).toEqual(['500 876', '2000 2378', '3500 3879']);
      expect(it.announced).toEqual(['500 since -375']);
    });
  });

  test('are announced four times, with a new age each time and one id', () => {
    scene((it) => {
      const session = it.start();
      it.at(500, () => {
        it.publish('misplaced');
        session.unsubscribe();
        it.server = 'there';
        it.start();
      });
      it.until(20_000);
      expect(it.announcements.map(({ ms, id, wallMs }) => `${ms} ${id} ${wallMs}`)).toEqual([
        '500 id-1 -375',
        '2000 id-1 -375',
        '3500 id-1 -375',
        '5000 id-1 -375',
      ]);
      expect(it.announced).toEqual(['500 since -375']);
    });
  });

  test('are none if the connection was lost and the server is the same', () => {
    scene((it) => {
      const session = it.start();
      it.at(2500, () => {
        it.publish('hello');
        session.unsubscribe();
        it.start();
      });
      it.until(3000);
      expect(it.announced).toEqual([]);
    });
  });

  test('are none if only canaries were published since it was confirmed as the master', () => {
    scene((it) => {
      it.start();
      it.at(2500, () => {
        it.publish('in time');
      });
      it.at(3500, () => {
        it.publisher.publish('test:canary:pod', '1', false).subscribe();
      });
      it.at(3600, () => (it.link.role = 'slave'));
      it.at(5000, () => {
        it.start();
      });
      it.until(6000);
      expect(it.announced).toEqual([]);
    });
  });

  test('are announced since the last time at which the master was known', () => {
    scene((it) => {
      it.start();
      it.at(4000, () => (it.isKnown = false));
      it.at(9000, () => {
        it.publish('misplaced');
      });
      it.at(9500, () => (it.link.role = 'slave'));
      it.at(11_000, () => {
        it.start();
      });
      it.until(12_000);
      expect(it.announced).toEqual(['11000 since 2625']);
    });
  });

  test('are announced until Redis has accepted it, together with those of later sessions', () => {
    scene((it) => {
      const first = it.start();
      it.at(500, () => {
        it.publish('misplaced');
        first.unsubscribe();
        it.server = 'there';
        it.link.outcome = () => NEVER;
        const second = it.start();
        it.at(100, () => {
          it.publish('misplaced too');
          second.unsubscribe();
          it.server = 'elsewhere';
          it.link.outcome = () => timer(1, it.scheduler).pipe(ignoreElements());
          const third = it.start();
          it.at(100, () => {
            third.unsubscribe();
            it.start();
          });
        });
      });
      it.until(1500);
      expect(it.announced).toEqual(['500 since -375', '600 since -375']);
    });
  });
});
