import { describe, expect, test } from '@jest/globals';
import { EMPTY, NEVER, Observable, Subject, concat, of, throwError, timer } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { PublishError, type BrokerEvent } from '../../src/broker/broker.js';
import { Hub } from '../../src/hub/hub.js';
import { silentLogger } from '../../src/log.js';
import { noMetrics } from '../../src/metrics.js';
import { ScriptedBroker } from '../support/broker.js';
import { marbles, virtualWorld } from '../support/marbles.js';
import { TestTrip } from '../support/round-trip.js';

const COST = 100;

/** A hub with one member in its tea room, a broker that answers when the test says so, and what became of publishes. */
class Scene {
  readonly broker = new ScriptedBroker();
  readonly hub: Hub;
  /** What happened, as `{ms} {what}`. */
  readonly log: string[] = [];
  /** What the log says, of errors. */
  readonly logged: unknown[] = [];
  /** The broker's word on the tea room's subscription. */
  readonly tea$ = new Subject<boolean>();
  readonly scheduler: TestScheduler;
  readonly #accepting: Subject<never>[] = [];

  constructor(scheduler: TestScheduler) {
    this.scheduler = scheduler;
    this.broker.confirm = (room) => (room === 'tea' ? concat(of(true), this.tea$) : [true]);
    this.broker.accept = () => {
      const answer$ = new Subject<never>();
      this.#accepting.push(answer$);
      return answer$;
    };
    this.hub = new Hub({
      broker: this.broker,
      world: virtualWorld(scheduler),
      metrics: noMetrics,
      log: { ...silentLogger, error: (_: unknown, message?: string) => this.logged.push(message) },
      maxPublicationBytes: 1000,
      lingerMs: 1000,
      maxRooms: 10,
    });
    this.hub.member$('ada', concat(of({ kind: 'join', rooms: ['tea'] } as const), NEVER)).subscribe((event) => {
      if (event.kind === 'batch') this.note('heard');
    });
  }

  publish(name: string, { id = name, room = 'tea' } = {}) {
    const trip = new TestTrip(id, COST, (outcome) => {
      this.note(`${name} ${outcome}`);
    });
    this.hub.publish(room, '{}', trip);
    return trip;
  }

  /** The broker accepts the nth publish. */
  accept(nth = 0): void {
    this.#accepting[nth]?.complete();
  }

  fail(nth: number, error: unknown): void {
    this.#accepting[nth]?.error(error);
  }

  /** A message arrives, and the turn ends. */
  return(id: string, room = 'tea'): void {
    const envelope = { id, type: 'chat', room, from: 'ada', data: {}, timestamp: '1970-01-01T00:00:00.000Z' };
    this.tell({ kind: 'publication', room, payload: Buffer.from(JSON.stringify(envelope)) });
  }

  tell(event: BrokerEvent): void {
    this.broker.events$.next(event);
  }

  at(ms: number, act: () => void): void {
    timer(ms, this.scheduler).subscribe(act);
  }

  note(what: string): void {
    this.log.push(`${this.scheduler.now()} ${what}`);
  }
}

function scene(play: (scene: Scene) => void): Scene {
  let made: Scene | undefined;
  marbles(({ flush }, scheduler) => {
    made = new Scene(scheduler);
    play(made);
    flush();
  });
  if (made === undefined) throw new Error('no scene');
  return made;
}

describe('a publish', () => {
  test('that was accepted is over when it has come back, after everybody heard it', () => {
    const { log, hub } = scene((it) => {
      it.publish('x');
      it.at(5, () => {
        it.accept();
        expect(it.hub.budget.underWayBytes).toBe(COST);
      });
      it.at(9, () => {
        it.return('x');
      });
    });
    expect(log).toEqual(['9 heard', '9 x done']);
    expect(hub.budget.underWayBytes).toBe(0);
  });

  test('that has come back is over when it was accepted', () => {
    const { log, hub } = scene((it) => {
      it.publish('x');
      it.at(5, () => {
        it.return('x');
      });
      it.at(9, () => {
        it.accept();
      });
    });
    expect(log).toEqual(['5 heard', '9 x done']);
    expect(hub.budget.underWayBytes).toBe(0);
  });

  test('comes back with its own id alone, and in its own room', () => {
    const { log } = scene((it) => {
      it.publish('x');
      it.accept();
      it.at(5, () => {
        it.return('y');
        it.return('x', 'milk');
      });
      it.at(9, () => {
        it.return('x');
      });
    });
    expect(log).toEqual(['5 heard', '9 heard', '9 x done']);
  });

  test('to a room that the pod does not hear is over when it is accepted', () => {
    const { log } = scene((it) => {
      it.publish('x', { room: 'milk' });
      it.at(5, () => {
        it.accept();
      });
    });
    expect(log).toEqual(['5 x done']);
  });

  test('to a room whose subscription is lost is over when it is accepted', () => {
    const { log } = scene((it) => {
      it.tea$.next(false);
      it.publish('x');
      it.at(5, () => {
        it.accept();
      });
    });
    expect(log).toEqual(['5 x done']);
  });

  test('that fails is over with its error, and expected no more', () => {
    const { log, hub } = scene((it) => {
      it.publish('x');
      it.at(5, () => {
        it.fail(0, new PublishError('unavailable', 'down'));
      });
      it.at(6, () => {
        it.return('x');
      });
    });
    expect(log).toEqual(['5 x unavailable', '6 heard']);
    expect(hub.budget.underWayBytes).toBe(0);
  });

  test('that is unsubscribed from is expected no more', () => {
    const { log, hub } = scene((it) => {
      const publishing = it.publish('x');
      it.accept();
      it.at(5, () => {
        publishing.unsubscribe();
        expect(it.hub.budget.underWayBytes).toBe(0);
        it.return('x');
      });
    });
    expect(log).toEqual(['5 heard']);
    expect(hub.budget.underWayBytes).toBe(0);
  });
});

describe('publishes with one id', () => {
  test('come back in the order in which they were published, so that none waits for ever while others follow', () => {
    const { log, logged, hub } = scene((it) => {
      it.broker.accept = () => [];
      // One more is under way with each that comes back.
      it.publish('0', { id: 'x' });
      for (let nth = 1; nth <= 8; nth += 1) {
        it.at(nth * 10_000, () => {
          it.publish(String(nth), { id: 'x' });
          it.return('x');
          it.hub.tick();
        });
      }
      it.at(90_000, () => {
        it.return('x');
      });
    });
    expect(log.filter((line) => !line.endsWith('heard')).map((line) => line.split(' ').slice(1).join(' '))).toEqual(
      Array.from({ length: 9 }, (_, nth) => `${nth} done`),
    );
    expect(logged).toEqual([]);
    expect(hub.budget.underWayBytes).toBe(0);
  });

  test('come back one by one', () => {
    const { log, hub } = scene((it) => {
      it.publish('first', { id: 'x' });
      it.publish('second', { id: 'x' });
      it.accept(0);
      it.accept(1);
      it.at(5, () => {
        it.return('x');
      });
      it.at(6, () => {
        it.return('x');
      });
    });
    expect(log.filter((line) => line.includes('done')).map((line) => line.slice(0, 1))).toEqual(['5', '6']);
    expect(hub.budget.underWayBytes).toBe(0);
  });

  test.each([0, 1])('of which one failed (%i) leave the other expected', (failed) => {
    const { log, hub } = scene((it) => {
      it.publish('0', { id: 'x' });
      it.publish('1', { id: 'x' });
      it.fail(failed, new PublishError('unavailable', 'down'));
      it.accept(1 - failed);
      it.at(5, () => {
        it.return('x');
      });
    });
    expect(log).toEqual([`0 ${failed} unavailable`, '5 heard', `5 ${1 - failed} done`]);
    expect(hub.budget.underWayBytes).toBe(0);
  });
});

describe('a subscription that is lost', () => {
  test('leaves those unconfirmed that were accepted, at once', () => {
    const { log, hub } = scene((it) => {
      it.publish('x');
      it.accept();
      it.at(5, () => {
        it.tea$.next(false);
      });
    });
    expect(log).toEqual(['5 x unconfirmed']);
    expect(hub.budget.underWayBytes).toBe(0);
  });

  test('leaves the others under way until the broker has answered: then they are unconfirmed', () => {
    const { log, hub } = scene((it) => {
      it.publish('x');
      it.at(5, () => {
        it.tea$.next(false);
        expect(it.hub.budget.underWayBytes).toBe(COST);
      });
      it.at(9, () => {
        it.accept();
      });
    });
    expect(log).toEqual(['9 x unconfirmed']);
    expect(hub.budget.underWayBytes).toBe(0);
  });

  test('does not change what the broker says of those that it refuses', () => {
    const { log } = scene((it) => {
      it.publish('x');
      it.at(5, () => {
        it.tea$.next(false);
      });
      it.at(9, () => {
        it.fail(0, new PublishError('unavailable', 'down'));
      });
    });
    expect(log).toEqual(['9 x unavailable']);
  });

  test('is no matter to what has come back nevertheless', () => {
    const { log } = scene((it) => {
      it.publish('x');
      it.at(5, () => {
        it.tea$.next(false);
        it.tea$.next(true);
        it.return('x');
      });
      it.at(9, () => {
        it.accept();
      });
    });
    expect(log).toEqual(['5 heard', '9 x done']);
  });
});

describe('a gap', () => {
  const [everywhere, elsewhere, here, tooLarge]: readonly BrokerEvent[] = [
    { kind: 'gap', sinceMs: 0 },
    { kind: 'gap', rooms: new Set(['milk']), sinceMs: 0 },
    { kind: 'gap', rooms: new Set(['tea']), sinceMs: 0 },
    { kind: 'gap', reason: 'too_large', rooms: new Set(['tea']), sinceMs: 0 },
  ];

  test.each([
    { what: 'of every room', gap: everywhere, lost: true },
    { what: 'of the room', gap: here, lost: true },
    { what: 'of another room', gap: elsewhere, lost: false },
    { what: 'about a message that was too large', gap: tooLarge, lost: false },
  ])('$what: what was accepted before is unconfirmed: $lost; what was not goes on', ({ gap, lost }) => {
    const { log } = scene((it) => {
      it.publish('accepted');
      it.publish('not yet');
      it.accept(0);
      it.at(5, () => {
        if (gap) it.tell(gap);
      });
      it.at(9, () => {
        it.accept(1);
        it.return('not yet');
        it.return('accepted');
      });
    });
    const after = ['9 heard', '9 not yet done', '9 accepted done'];
    const expected = lost ? ['5 accepted unconfirmed', '9 heard', '9 not yet done'] : after;
    expect(log.filter((line) => line !== '5 heard')).toEqual(expected);
  });
});

describe('a publish that neither comes back nor is reported lost', () => {
  test('is unconfirmed half a minute after it was seen to be half a minute old, and logged', () => {
    const { log, logged, hub } = scene((it) => {
      it.publish('x');
      it.accept();
      for (const ms of [29_999, 30_000, 59_999, 60_000])
        it.at(ms, () => {
          it.hub.tick();
        });
    });
    expect(log).toEqual(['60000 x unconfirmed']);
    expect(logged).toEqual(['publishes neither returned nor reported lost by the broker']);
    expect(hub.budget.underWayBytes).toBe(0);
  });

  test('is left alone as long as the broker has not answered, which has a timeout of its own', () => {
    const { log, logged } = scene((it) => {
      it.publish('x');
      for (const ms of [30_000, 60_000, 90_000])
        it.at(ms, () => {
          it.hub.tick();
        });
    });
    expect(log).toEqual([]);
    expect(logged).toEqual([]);
  });
});

describe('a round trip', () => {
  test.each<{ what: string; outcome$: Observable<never>; told: string }>([
    { what: 'accepted at once', outcome$: EMPTY, told: '0 x done' },
    { what: 'refused at once', outcome$: throwError(() => new PublishError('unavailable', 'down')), told: '0 x unavailable' },
  ])('of a publish that is $what ends within the call', ({ outcome$, told }) => {
    const { log, hub } = scene((it) => {
      it.broker.accept = () => outcome$;
      it.publish('x', { room: 'milk' });
    });
    expect(log).toEqual([told]);
    expect(hub.budget.underWayBytes).toBe(0);
  });
});
