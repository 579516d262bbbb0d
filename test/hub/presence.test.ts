import { describe, expect, test } from '@jest/globals';
import { NEVER, Subject, concat, ignoreElements, map, of, throwError, timer, type Observable } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { PublishError } from '../../src/broker/broker.js';
import type { MemberEvent, MembershipChange } from '../../src/hub/room.js';
import { noMetrics } from '../../src/runtime/metrics.js';
import type { Pod } from '../../src/connection/context.js';
import { PRESENCE_WINDOW, Presence, RETRY_INTERVAL_MS, presence } from '../../src/hub/presence.js';
import { costOf } from '../../src/hub/publish-budget.js';
import { GLOBAL_ROOM } from '../../src/protocol/protocol.js';
import { brief } from '../support/brief.js';
import { ScriptedBroker } from '../support/broker.js';
import { marbles } from '../support/marbles.js';
import { virtualPod } from '../support/pod.js';

/** Wants to be in rooms from its first moment on. */
function staying(...rooms: readonly string[]): Observable<MembershipChange> {
  return concat(of({ kind: 'join', rooms } as const), NEVER);
}

function short(event: MemberEvent): string {
  return event.kind === 'batch' ? brief(event) : [event.kind, ...event.rooms].join(' ');
}

/** A pod that tells presence to rooms of so many members, through a broker that remembers what was published. */
function telling(scheduler: TestScheduler, maxMembers: number) {
  const broker = new ScriptedBroker();
  broker.returns = true;
  const pod = virtualPod(scheduler, { broker });
  const subscription = presence(pod, maxMembers).subscribe();
  return { broker, pod, subscription, pass: passing(scheduler), told: () => broker.published.map(inShort) };
}

/** Lets virtual time pass; with 0, the turns of the event loop that are due: a publish comes back at the end of one. */
function passing(scheduler: TestScheduler): (ms: number) => void {
  let nowMs = 0;
  return (ms) => {
    scheduler.maxFrames = nowMs += ms;
    scheduler.flush();
  };
}

/** `online ada in tea`, of a publish as the scripted broker remembers it. */
function inShort(published: string): string {
  const [, payload = ''] = /^\S* (.*)$/.exec(published) ?? [];
  const { data, room } = JSON.parse(payload) as { data: { status: string; clientId: string }; room: string };
  return `${data.status} ${data.clientId} in ${room}`;
}

function enter({ hub }: Pod, id: string, ...rooms: readonly string[]) {
  return hub.member$(id, staying(...rooms)).subscribe();
}

function enterMany(pod: Pod, count: number) {
  return Array.from({ length: count }, (_, n) => enter(pod, `m${n + 1}`, 'tea'));
}

test('the members of a room hear who comes and goes, and who comes hears it too', () => {
  marbles(({ hot, expectObservable }, scheduler) => {
    const pod = virtualPod(scheduler);
    presence(pod, 100).subscribe();
    const row = (id: string, change$: Observable<MembershipChange>) => pod.hub.member$(id, change$).pipe(map(short));
    const change$ = hot<MembershipChange>('5ms j 4ms l', {
      j: { kind: 'join', rooms: ['tea'] },
      l: { kind: 'leave', rooms: ['tea'] },
    });
    expectObservable(row('ada', staying(GLOBAL_ROOM, 'tea'))).toBe('(ja)-b 4ms c', {
      ...{ j: 'joined  tea', a: 'presence online ada' },
      ...{ b: 'presence online ben', c: 'presence offline ben' },
    });
    expectObservable(row('ben', change$)).toBe('5ms (jb) 1ms l', { j: 'joined tea', b: 'presence online ben', l: 'left tea' });
    expectObservable(row('cat', staying(GLOBAL_ROOM, 'milk'))).toBe('(jc)', { j: 'joined  milk', c: 'presence online cat' });
  });
});

test('presence is published as an envelope of the server’s, to the room and with its name', () => {
  marbles((_, scheduler) => {
    const { broker, pod } = telling(scheduler, 100);
    enter(pod, 'ada', 'tea');
    expect(broker.published).toEqual([
      'tea {"id":"id-1","type":"presence","room":"tea","from":"server",' +
        '"data":{"status":"online","clientId":"ada","identity":"ada"},"timestamp":"1970-01-01T00:00:00.000Z"}',
    ]);
  });
});

test('it is told to each room of a connection, when it comes and when it goes', () => {
  marbles((_, scheduler) => {
    const { pod, told, pass } = telling(scheduler, 100);
    const ada = enter(pod, 'ada', GLOBAL_ROOM, 'tea', 'milk');
    pass(0);
    ada.unsubscribe();
    expect(told()).toEqual(['online ada in tea', 'online ada in milk', 'offline ada in tea', 'offline ada in milk']);
  });
});

test('it is told when the room is confirmed, not when it is asked for', () => {
  marbles(({ cold, flush }, scheduler) => {
    const { broker, pod, told } = telling(scheduler, 100);
    broker.confirm = () => cold('-----t', { t: true });
    enter(pod, 'ada', 'tea');
    expect(told()).toEqual([]);
    flush();
    expect(told()).toEqual(['online ada in tea']);
  });
});

test('a connection in no room causes none', () => {
  marbles((_, scheduler) => {
    const { pod, told } = telling(scheduler, 100);
    enter(pod, 'ada', GLOBAL_ROOM).unsubscribe();
    expect(told()).toEqual([]);
  });
});

test('the hundredth member is told of, the hundred-and-first is not, and goes as it came', () => {
  marbles((_, scheduler) => {
    const { broker, pod, told } = telling(scheduler, 100);
    enterMany(pod, 100);
    expect(told()).toHaveLength(100);
    expect(told().at(-1)).toBe('online m100 in tea');
    broker.published.length = 0;
    enter(pod, 'm101', 'tea').unsubscribe();
    expect(told()).toEqual([]);
  });
});

test('a room that has shrunk to a hundred is told again', () => {
  marbles((_, scheduler) => {
    const { broker, pod, told, pass } = telling(scheduler, 100);
    const [first, second] = enterMany(pod, 101);
    pass(0);
    first?.unsubscribe();
    broker.published.length = 0;
    second?.unsubscribe();
    enter(pod, 'late', 'tea');
    expect(told()).toEqual(['offline m2 in tea', 'online late in tea']);
  });
});

test('a large room silences no other', () => {
  marbles((_, scheduler) => {
    const { broker, pod, told } = telling(scheduler, 2);
    enterMany(pod, 3);
    broker.published.length = 0;
    enter(pod, 'ada', 'tea', 'milk');
    expect(told()).toEqual(['online ada in milk']);
  });
});

test('0 turns it off', () => {
  marbles((_, scheduler) => {
    const { pod, told } = telling(scheduler, 0);
    enter(pod, 'ada', 'tea').unsubscribe();
    expect(told()).toEqual([]);
  });
});

test('a publish that fails is the end of nothing', () => {
  marbles((_, scheduler) => {
    const { broker, pod, subscription, told } = telling(scheduler, 100);
    broker.accept = () => throwError(() => new PublishError('unavailable', 'down'));
    enter(pod, 'ada', 'tea');
    broker.accept = () => [];
    enter(pod, 'ben', 'tea');
    expect(told()).toEqual(['online ada in tea', 'online ben in tea']);
    expect(subscription.closed).toBe(false);
  });
});

test('a publish that is not confirmed yet holds up no other', () => {
  marbles((_, scheduler) => {
    const { broker, pod, told } = telling(scheduler, 100);
    broker.accept = () => NEVER;
    enter(pod, 'ada', 'tea');
    enter(pod, 'ben', 'tea');
    expect(told()).toEqual(['online ada in tea', 'online ben in tea']);
  });
});

test('a pod that goes away tells nothing more', () => {
  marbles((_, scheduler) => {
    const { pod, subscription, told } = telling(scheduler, 100);
    const ada = enter(pod, 'ada', 'tea');
    subscription.unsubscribe();
    ada.unsubscribe();
    expect(told()).toEqual(['online ada in tea']);
  });
});

/** What is told of a crowd in rooms of up to so many, with what the metrics say of it. */
function crowded(scheduler: TestScheduler) {
  const counted = { lost: 0, waiting: 0 };
  const broker = new ScriptedBroker();
  broker.returns = true;
  const pod = virtualPod(scheduler, {
    broker,
    metrics: {
      ...noMetrics,
      presenceLost: (changes) => {
        counted.lost += changes;
      },
      presenceWaiting: (changes) => {
        counted.waiting = changes;
      },
    },
  });
  const telling = new Presence(pod, 10_000);
  return { broker, pod, telling, counted, pass: passing(scheduler), told: () => broker.published.splice(0).map(inShort) };
}

const down = () => throwError(() => new PublishError('unavailable', 'down'));
const uncertain = () => throwError(() => new PublishError('unconfirmed', 'lost'));
const TURN = 128;

describe('a crowd', () => {
  test('is told a part in each turn of the event loop', () => {
    marbles((_, scheduler) => {
      const { pod, told, pass, counted } = crowded(scheduler);
      enterMany(pod, 1000);
      expect([told().length, counted.waiting]).toEqual([TURN, 1000]);
      pass(0);
      expect([told().length, counted]).toEqual([1000 - TURN, { lost: 0, waiting: 0 }]);
    });
  });

  test('has a bounded number of publishes under way, and the next begins when one has ended', () => {
    marbles((_, scheduler) => {
      const { broker, pod, told, pass, counted } = crowded(scheduler);
      const answer$ = new Subject<never>();
      broker.accept = () => answer$;
      enterMany(pod, 1000);
      pass(1000);
      expect([told().length, counted.waiting]).toEqual([PRESENCE_WINDOW, 1000]);
      broker.accept = () => NEVER;
      answer$.complete();
      pass(1000);
      expect([told().length, counted.waiting]).toEqual([PRESENCE_WINDOW, 1000 - PRESENCE_WINDOW]);
    });
  });

  test('that comes and goes before it could be told leaves only those to be told whose coming was under way', () => {
    marbles((_, scheduler) => {
      const { broker, pod, told, pass, counted } = crowded(scheduler);
      broker.accept = () => timer(5, scheduler).pipe(ignoreElements());
      for (const member of enterMany(pod, 1000)) member.unsubscribe();
      expect([told().length, counted.waiting]).toEqual([TURN, TURN]);
      pass(20);
      const gone = told();
      expect(gone).toHaveLength(TURN);
      expect(new Set(gone.map((what) => what.split(' ')[0]))).toEqual(new Set(['offline']));
      expect(counted).toEqual({ lost: 0, waiting: 0 });
    });
  });
});

test('who leaves while its coming is under way is told to have left when that has ended, not before', () => {
  marbles((_, scheduler) => {
    const { broker, pod, told, pass } = crowded(scheduler);
    broker.accept = () => timer(5, scheduler).pipe(ignoreElements());
    enter(pod, 'ada', 'tea').unsubscribe();
    pass(4);
    expect(told()).toEqual(['online ada in tea']);
    pass(2);
    expect(told()).toEqual(['offline ada in tea']);
  });
});

describe('a publish of presence', () => {
  test('is under way, and in the budget of the pod, until it has come back', () => {
    marbles((_, scheduler) => {
      const { broker, pod, told, pass, counted } = crowded(scheduler);
      enter(pod, 'stays', 'tea');
      pass(0);
      told();
      broker.returns = false;
      const ada = enter(pod, 'ada', 'tea');
      const [online = ''] = broker.published;
      const payload = online.slice('tea '.length);
      expect(told()).toEqual(['online ada in tea']);
      ada.unsubscribe();
      pass(10 * RETRY_INTERVAL_MS);
      expect([told(), counted.waiting, pod.hub.budget.underWayBytes]).toEqual([[], 1, costOf(payload)]);
      broker.returns = true;
      broker.events$.next({ kind: 'publication', room: 'tea', payload: Buffer.from(payload) });
      pass(0);
      expect([told(), counted.waiting, pod.hub.budget.underWayBytes]).toEqual([['offline ada in tea'], 0, 0]);
    });
  });

  test('is told again where a gap stands in the place of its echo', () => {
    marbles((_, scheduler) => {
      const { broker, pod, told, pass, counted } = crowded(scheduler);
      broker.returns = false;
      enter(pod, 'ada', 'tea');
      pass(0);
      told();
      broker.events$.next({ kind: 'gap', sinceMs: 0 });
      broker.returns = true;
      pass(RETRY_INTERVAL_MS);
      expect([told(), counted]).toEqual([['online ada in tea'], { lost: 0, waiting: 0 }]);
    });
  });
});

describe('what could not be published', () => {
  test('is told when publishes are accepted again, as it is then', () => {
    marbles((_, scheduler) => {
      const { broker, pod, told, pass, counted } = crowded(scheduler);
      const before = enter(pod, 'before', 'tea');
      pass(0);
      told();
      broker.accept = down;
      enter(pod, 'stays', 'tea');
      const passing = enter(pod, 'passes', 'tea');
      before.unsubscribe();
      passing.unsubscribe();
      told();
      pass(3 * RETRY_INTERVAL_MS);
      expect(told().slice(0, 2)).toEqual(['online stays in tea', 'offline before in tea']);
      broker.accept = () => [];
      pass(RETRY_INTERVAL_MS);
      expect(told()).toEqual(['online stays in tea', 'offline before in tea']);
      pass(10 * RETRY_INTERVAL_MS);
      expect([told(), counted]).toEqual([[], { lost: 0, waiting: 0 }]);
    });
  });

  test('but may have been is told again, and that the connection left where it did', () => {
    marbles((_, scheduler) => {
      const { broker, pod, told, pass } = crowded(scheduler);
      broker.accept = uncertain;
      enter(pod, 'ada', 'tea').unsubscribe();
      enter(pod, 'ben', 'tea');
      told();
      broker.accept = () => [];
      pass(RETRY_INTERVAL_MS);
      expect(told()).toEqual(['offline ada in tea', 'online ben in tea']);
    });
  });

  test('is tried again a part at a time, and all of it after one of them succeeded', () => {
    marbles((_, scheduler) => {
      const { broker, pod, told, pass, counted } = crowded(scheduler);
      broker.accept = down;
      enterMany(pod, 2000);
      pass(RETRY_INTERVAL_MS - 1);
      expect(told()).toHaveLength(2000);
      for (let nth = 0; nth < 5; nth += 1) {
        pass(RETRY_INTERVAL_MS);
        expect(told()).toHaveLength(256);
      }
      broker.accept = () => [];
      pass(2 * RETRY_INTERVAL_MS);
      expect([told().length, counted]).toEqual([2000, { lost: 0, waiting: 0 }]);
    });
  });

  test('in one room, for good, does not hold up what goes to others, and does not grow', () => {
    marbles((_, scheduler) => {
      const { broker, pod, told, pass, counted } = crowded(scheduler);
      broker.accept = (room) => (room === 'refused' ? down() : []);
      enter(pod, 'ada', 'refused');
      for (let nth = 0; nth < 50; nth += 1) {
        told();
        const ben = enter(pod, 'ben', 'tea');
        pass(0);
        ben.unsubscribe();
        expect(told()).toEqual(['online ben in tea', 'offline ben in tea']);
        pass(RETRY_INTERVAL_MS);
        expect([told(), counted.waiting]).toEqual([['online ada in refused'], 1]);
      }
    });
  });
});

describe('presence that is stopped', () => {
  test('tells what was before, and nothing of who leaves from then on', () => {
    marbles((_, scheduler) => {
      const { broker, pod, telling, told, pass, counted } = crowded(scheduler);
      broker.accept = () => timer(5, scheduler).pipe(ignoreElements());
      const members = enterMany(pod, 1000);
      let ended = false;
      telling.stop$.subscribe({
        complete: () => {
          ended = true;
        },
      });
      for (const member of members) member.unsubscribe();
      pass(14);
      expect(ended).toBe(false);
      pass(100);
      expect([ended, counted]).toEqual([true, { lost: 0, waiting: 0 }]);
      expect(told().filter((what) => !what.startsWith('online'))).toEqual([]);
    });
  });

  test('gives up what fails, and counts it', () => {
    marbles((_, scheduler) => {
      const { broker, pod, telling, pass, counted } = crowded(scheduler);
      broker.accept = down;
      enter(pod, 'ada', 'tea');
      broker.accept = () => concat(timer(5, scheduler).pipe(ignoreElements()), uncertain());
      enter(pod, 'ben', 'tea');
      let ended = false;
      telling.stop$.subscribe({
        complete: () => {
          ended = true;
        },
      });
      expect([ended, counted.lost]).toEqual([false, 1]);
      pass(5);
      expect([ended, counted]).toEqual([true, { lost: 2, waiting: 0 }]);
    });
  });

  test('is over at once where nothing waits', () => {
    marbles((_, scheduler) => {
      const { pod, telling, pass, counted } = crowded(scheduler);
      enter(pod, 'ada', 'tea');
      pass(0);
      let ended = false;
      telling.stop$.subscribe({
        complete: () => {
          ended = true;
        },
      });
      expect([ended, counted.lost]).toEqual([true, 0]);
    });
  });
});

test('what was not told when presence ends is counted', () => {
  marbles((_, scheduler) => {
    const { broker, pod, telling, counted, pass, told } = crowded(scheduler);
    broker.accept = () => NEVER;
    enterMany(pod, 300);
    pass(10);
    told();
    telling.unsubscribe();
    expect(counted).toEqual({ lost: 300, waiting: 0 });
    pass(10 * RETRY_INTERVAL_MS);
    expect(told()).toEqual([]);
  });
});
