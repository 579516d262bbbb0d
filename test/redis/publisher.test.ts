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
  /** Whether somebody can be asked who is the master. */
  isKnown = true;
  /** What happened, as `{ms} {what}`. */
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

  live() {
    return this.publisher.session$(this.link).subscribe({
      error: (error: Error) => {
        this.#note(`over: ${error.message}`);
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

  /** What all pods were told, as `{ms} since {since} {id}`, each once: `since` by the ages, which have to agree with the times. */
  get told(): readonly string[] {
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

  /** Everything that happens before this. */
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
  test('is accepted when Redis answers', () => {
    scene((it) => {
      it.live();
      it.publish('hello');
      expect(it.until(100)).toEqual(['1 hello accepted']);
    });
  });

  test('is unavailable while there is no connection, and is not kept for later', () => {
    scene((it) => {
      it.publish('hello');
      it.live();
      expect(it.until(100)).toEqual(['0 hello unavailable']);
      expect(it.link.asked).toEqual([]);
    });
  });

  test('that Redis refuses is unavailable, and the connection goes on', () => {
    scene((it) => {
      it.live();
      it.link.outcome = () => throwError(() => new RefusedError('NOPERM'));
      it.publish('hello');
      expect(it.until(100)).toEqual(['0 hello unavailable']);
    });
  });

  test('whose connection breaks is unconfirmed', () => {
    scene((it) => {
      it.live();
      it.link.outcome = () => throwError(() => new LinkError('broken'));
      it.publish('hello');
      expect(it.until(100)).toEqual(['0 hello unconfirmed']);
    });
  });

  test('that is not answered in time ends the connection, and what else is under way is unconfirmed too', () => {
    scene((it) => {
      it.live();
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
        '360 over: a publish was not confirmed within 300 ms',
        '360 first unconfirmed',
        '360 second unconfirmed',
      ]);
    });
  });

  test('has a deadline of its own, though others are confirmed all the time before it', () => {
    scene((it) => {
      it.live();
      // A thin line: an answer every 26 ms, where ten publishes come every 100 ms.
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
      expect(log.find((line) => line.includes('over'))).toBe('400 over: a publish was not confirmed within 300 ms');
      const told = log.filter((line) => !line.includes('over')).map((line) => line.split(/[ .]/).map(Number));
      const lateMs = told.map(([toldMs = 0, nth = 0]) => toldMs - 100 * nth);
      expect(Math.max(...lateMs)).toBe(300);
    });
  });

  test('under way when the connection is given up is unconfirmed', () => {
    scene((it) => {
      const life = it.live();
      it.link.outcome = () => NEVER;
      it.publish('hello');
      it.at(50, () => {
        life.unsubscribe();
      });
      expect(it.until(1000)).toEqual(['50 hello unconfirmed']);
    });
  });
});

describe('a connection', () => {
  test('is asked every 1.5 s whether its server is still a master, and is over when it is not', () => {
    scene((it) => {
      it.live();
      it.at(3500, () => (it.link.role = 'slave'));
      expect(it.until(10_000)).toEqual(['4501 over: the server is a slave, not a master']);
      expect(it.link.asked).toEqual(['1500 ROLE', '3000 ROLE', '4500 ROLE']);
    });
  });

  test('is over when it is idle and its server does not answer', () => {
    scene((it) => {
      it.live();
      it.link.outcome = () => NEVER;
      expect(it.until(10_000)).toEqual(['1800 over: ROLE was not answered within 300 ms']);
    });
  });
});

describe('what went to a server that was the master no longer', () => {
  test('is told to all pods by the next life, since the server was last known to be the master', () => {
    scene((it) => {
      it.live();
      it.at(3200, () => {
        it.publish('misplaced');
      });
      it.at(3500, () => (it.link.role = 'slave'));
      it.at(5000, () => {
        it.live();
      });
      it.until(6000);
      expect(it.told).toEqual(['5000 since 2625']);
    });
  });

  test('is told where the next life leads to another server, whatever ended the one before', () => {
    scene((it) => {
      const life = it.live();
      it.at(2500, () => {
        it.publish('misplaced');
        life.unsubscribe();
        it.server = 'there';
        it.live();
      });
      it.until(3000);
      expect(it.told).toEqual(['2500 since 1125']);
    });
  });

  test('is told where what it publishes does not arrive, since the last time that it did', () => {
    scene((it) => {
      it.live();
      it.at(3100, () => {
        it.publish('misplaced');
        it.publisher.canaryLost({ ms: 700, wallMs: 700 });
        it.publisher.canaryLost({ ms: 700, wallMs: 700 });
      });
      it.at(4000, () => {
        it.live();
      });
      expect(it.until(5000)).toEqual(['3100 over: what is published does not arrive', '3100 misplaced unconfirmed']);
      expect(it.told).toEqual(['4000 since 325']);
    });
  });

  test.each([
    { when: 'before the connection is lost', atMs: 2400, told: ['2500 since 1125'] },
    { when: 'before its server was known to be the master again', atMs: 1400, told: [] },
  ])('is told where another connection found that out $when: $told', ({ atMs, told }) => {
    scene((it) => {
      const life = it.live();
      it.at(atMs, () => {
        it.publisher.masterDemoted();
      });
      it.at(2500, () => {
        it.publish('misplaced');
        life.unsubscribe();
        it.live();
      });
      it.until(3000);
      expect(it.told).toEqual(told);
    });
  });

  test('is told again where it was refused', () => {
    scene((it) => {
      const first = it.live();
      it.at(500, () => {
        it.publish('misplaced');
        first.unsubscribe();
        it.server = 'there';
        it.link.outcome = () => throwError(() => new RefusedError('OOM'));
        it.live();
      });
      it.at(1000, () => (it.link.outcome = () => timer(1, it.scheduler).pipe(ignoreElements())));
      it.until(4000);
      // Refused, with an age of its own each time; then accepted, and repeated.
      expect(it.announcements.map(({ ms, ageMs }) => `${ms} ${ageMs}`)).toEqual(['500 876', '2000 2378', '3500 3879']);
      expect(it.told).toEqual(['500 since -375']);
    });
  });

  test('is told some times, with a new age each time and one id', () => {
    scene((it) => {
      const life = it.live();
      it.at(500, () => {
        it.publish('misplaced');
        life.unsubscribe();
        it.server = 'there';
        it.live();
      });
      it.until(20_000);
      expect(it.announcements.map(({ ms, id, wallMs }) => `${ms} ${id} ${wallMs}`)).toEqual([
        '500 id-1 -375',
        '2000 id-1 -375',
        '3500 id-1 -375',
        '5000 id-1 -375',
      ]);
      expect(it.told).toEqual(['500 since -375']);
    });
  });

  test('is nothing where the connection was lost and the server is the same', () => {
    scene((it) => {
      const life = it.live();
      it.at(2500, () => {
        it.publish('hello');
        life.unsubscribe();
        it.live();
      });
      it.until(3000);
      expect(it.told).toEqual([]);
    });
  });

  test('is nothing where nothing was published since it was known to be the master, canaries aside', () => {
    scene((it) => {
      it.live();
      it.at(2500, () => {
        it.publish('in time');
      });
      it.at(3500, () => {
        it.publisher.publish('test:canary:pod', '1', false).subscribe();
      });
      it.at(3600, () => (it.link.role = 'slave'));
      it.at(5000, () => {
        it.live();
      });
      it.until(6000);
      expect(it.told).toEqual([]);
    });
  });

  test('reaches back to when somebody could be asked last', () => {
    scene((it) => {
      it.live();
      it.at(4000, () => (it.isKnown = false));
      it.at(9000, () => {
        it.publish('misplaced');
      });
      it.at(9500, () => (it.link.role = 'slave'));
      it.at(11_000, () => {
        it.live();
      });
      it.until(12_000);
      expect(it.told).toEqual(['11000 since 2625']);
    });
  });

  test('is told again until Redis has accepted that, with what comes to it meanwhile', () => {
    scene((it) => {
      const first = it.live();
      it.at(500, () => {
        it.publish('misplaced');
        first.unsubscribe();
        it.server = 'there';
        it.link.outcome = () => NEVER;
        const second = it.live();
        it.at(100, () => {
          it.publish('misplaced too');
          second.unsubscribe();
          it.server = 'elsewhere';
          it.link.outcome = () => timer(1, it.scheduler).pipe(ignoreElements());
          const third = it.live();
          it.at(100, () => {
            third.unsubscribe();
            it.live();
          });
        });
      });
      it.until(1500);
      expect(it.told).toEqual(['500 since -375', '600 since -375']);
    });
  });
});
