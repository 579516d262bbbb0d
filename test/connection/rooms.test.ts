import { describe, expect, test } from '@jest/globals';
import { NEVER, delay, filter, map, timer } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import Type from 'typebox';
import type { Grant } from '../../src/auth/grant.js';
import { readConfig } from '../../src/config/config.js';
import { join } from '../../src/handlers/effect.js';
import { handler } from '../../src/handlers/handler.js';
import { act } from '../support/acting.js';
import { ask, text } from '../support/ask.js';
import { ScriptedBroker } from '../support/broker.js';
import { marbles } from '../support/marbles.js';
import { inRooms, virtualPod } from '../support/pod.js';
import { HANDLERS, HEARD, INBOUND } from '../support/room-requests.js';

/** A pod whose broker takes 3 ms to confirm a room; the global one at once. */
function slowly(scheduler: TestScheduler) {
  const broker = new ScriptedBroker();
  broker.confirm = (room) => (room === '' ? [true] : timer(3, scheduler).pipe(map(() => true)));
  return { broker, pod: virtualPod(scheduler, { broker, handlers: HANDLERS }) };
}

describe('join', () => {
  test('is answered once the broker has confirmed the room, and only then counts', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -jt---t-', INBOUND);
      const unsub = '   -------!';
      const expected = 'w-n-j--';

      const { pod } = slowly(scheduler);
      expectObservable(ask(e1, inRooms(pod, 'ada')), unsub).toBe(expected, HEARD);
    });
  });

  test('of a room whose subscription is there is answered at once', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  ----j-', INBOUND);
      const unsub = '   ------!';
      const expected = 'w---j-';

      const { pod } = slowly(scheduler);
      ask(NEVER, inRooms(pod, 'ben', ['tea'])).subscribe();
      expectObservable(ask(e1, inRooms(pod, 'ada')), unsub).toBe(expected, HEARD);
    });
  });

  test('of a room that was just left finds its subscription lingering, and a second later has to wait again', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -j---ljl 1001ms j----', INBOUND);
      const unsub = '   -------- 1001ms ----!';
      const expected = 'w---jljl 1001ms ---j';

      const { pod } = slowly(scheduler);
      expectObservable(ask(e1, inRooms(pod, 'ada')), unsub).toBe(expected, HEARD);
    });
  });

  test('of several rooms is answered for each of them once', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -J-------', INBOUND);
      const unsub = '   --------!';
      const expected = 'w---(jJ)';

      const { pod } = slowly(scheduler);
      expectObservable(ask(e1, inRooms(pod, 'ada')), unsub).toBe(expected, HEARD);
    });
  });

  test('of rooms that it is in already is answered at once; of one that is on its way, when it is there', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -jJ---j--', INBOUND);
      const unsub = '   --------!';
      const expected = 'w---jJj-';

      const { pod } = slowly(scheduler);
      expectObservable(ask(e1, inRooms(pod, 'ada')), unsub).toBe(expected, HEARD);
    });
  });

  test('makes it the one room of a connection that had none', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  c-j---c-lc', INBOUND);
      const unsub = '   ----------!';
      const expected = 'w----j--l-';

      const { broker, pod } = slowly(scheduler);
      expectObservable(ask(e1, inRooms(pod, 'ada')), unsub).toBe(expected, HEARD);
      flush();
      expect(broker.published.map((each) => each.split(' ')[0])).toEqual(['', 'tea', '']);
    });
  });

  test('makes a message without a room ambiguous where it was not', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  ----cj---c-lc-', INBOUND);
      const unsub = '   -------------!';
      const expected = '---w----jr-l-';

      const { broker, pod } = slowly(scheduler);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['milk'])), unsub).toBe(expected, HEARD);
      flush();
      expect(broker.published.map((each) => each.split(' ')[0])).toEqual(['milk', 'milk']);
    });
  });

  test.each([
    { what: 'a name that is no room’s', said: 'b', told: 'b' },
    { what: 'the room of everybody', said: 'e', told: 'e' },
    { what: 'something, though it names another message', said: 'a', told: 'a' },
  ])('of $what is an invalid message, and changes nothing', ({ said, told }) => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot(`  -W${said}-`, INBOUND);
      const unsub = '   -----!';
      const expected = `wi${told}-`;

      const { pod } = slowly(scheduler);
      expectObservable(ask(e1, inRooms(pod, 'ada')), unsub).toBe(expected, { ...HEARD, i: 'in ' });
    });
  });

  test('of more than 100 rooms is forbidden, whether at once or with those that it is in or on its way to', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -m-jh--h-', INBOUND);
      const unsub = '   ---------!';
      const expected = 'wf--h-jh-';

      const { broker, pod } = slowly(scheduler);
      const subscribed: string[] = [];
      timer(8, scheduler).subscribe(() => subscribed.push(...broker.subscribed));
      expectObservable(ask(e1, inRooms(pod, 'ada')), unsub).toBe(expected, HEARD);
      flush();
      expect(subscribed).toEqual(['', 'tea']);
    });
  });

  test('of rooms that the token does not grant is forbidden, and of none of those named with them', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -Jj----', INBOUND);
      const unsub = '   -------!';
      const expected = 'wF---j-';

      const { pod } = slowly(scheduler);
      const grant: Grant = { mayJoin: (room) => room === 'tea', mayPublish: () => true, mayPublishGlobally: () => true };
      const context = { ...inRooms(pod, 'ada'), access: { grant, expiresAtMs: Infinity } };
      expectObservable(ask(e1, context), unsub).toBe(expected, { ...HEARD, F: 'error forbidden' });
    });
  });

  test('while the pod goes away is unavailable', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -xd           ', { ...INBOUND, x: text({ type: 'later', id: 'x' }) });
      const expected = 'w-(dp)e(s|)   ';

      const later = handler('later', Type.Unknown(), (message$, context) =>
        message$.pipe(
          delay(5, context.scheduler),
          map(({ id }) => join(['tea'], { ref: id })),
        ),
      );
      const pod = virtualPod(scheduler, { handlers: [later] });
      const heard = { w: 'welcome', d: 'shutdown', p: 'pause', e: 'error unavailable x', s: 'shut 1001' };
      expectObservable(ask(e1, inRooms(pod, 'ada'))).toBe(expected, heard);
    });
  });
});

describe('a pod that is full', () => {
  test('of rooms lets nobody join more, but those that it hears already', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -jJl----', { j: act('join', { id: 'j' }), J: act('join two', { id: 'J' }), l: act('leave') });
      const unsub = '   --------!';
      const expected = 'wjuL----';

      const pod = virtualPod(scheduler, { handlers: HANDLERS, limits: readConfig({ MAX_ROOMS: '1' }) });
      ask(NEVER, inRooms(pod, 'ben', ['tea'])).subscribe();
      const heard = { w: 'welcome', j: 'joined tea', u: 'error unavailable J', L: 'left tea' };
      expectObservable(ask(e1, inRooms(pod, 'ada')), unsub).toBe(expected, heard);
    });
  });

  test('of what waits lets nobody join more', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -j--j-', INBOUND);
      const unsub = '   ------!';
      const expected = 'wu--j-';

      const pod = virtualPod(scheduler, { handlers: HANDLERS });
      pod.held.add(pod.limits.maxHeldBytes);
      timer(3, scheduler).subscribe(() => {
        pod.held.add(-pod.limits.maxHeldBytes);
      });
      expectObservable(ask(e1, inRooms(pod, 'ada')), unsub).toBe(expected, { ...HEARD, u: 'error unavailable j' });
    });
  });
});

describe('leave', () => {
  test('is answered, and what is said in the room from then on is for others', () => {
    marbles(({ hot, cold, expectObservable }, scheduler) => {
      const e1 = hot('  ------lt--', INBOUND);
      const said = '    ----x---x-';
      const unsub = '   ----------!';
      const expected = '---wc-ln--';

      const { broker, pod } = slowly(scheduler);
      cold(said).subscribe(() => {
        broker.deliver('tea', 'hi');
      });
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
    });
  });

  test('of several rooms is answered for each; with one that it is not in, it leaves none', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -lj----L-J----L-', INBOUND);
      const unsub = '   ------------------!';
      const expected = 'wN---j-M-j--J-(lL)';

      const { pod } = slowly(scheduler);
      expectObservable(ask(e1, inRooms(pod, 'ada')), unsub).toBe(expected, HEARD);
    });
  });

  test('of a room that is on its way ends the wait: it is never joined', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -r-------', INBOUND);
      const unsub = '   ---------!';
      const expected = 'wl-------';

      const { pod } = slowly(scheduler);
      expectObservable(ask(e1, inRooms(pod, 'ada')), unsub).toBe(expected, HEARD);
    });
  });

  test('and join by turns end as the last of them wanted', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -r-rj-----', INBOUND);
      const unsub = '   ----------!';
      const expected = 'wl-lj-----';

      const { pod } = slowly(scheduler);
      const members: number[] = [];
      timer(9, scheduler).subscribe(() => {
        members.push(pod.hub.memberCount('tea'));
      });
      expectObservable(ask(e1, inRooms(pod, 'ada')), unsub).toBe(expected, HEARD);
      flush();
      expect(members).toEqual([1]);
    });
  });
});

describe('rooms$', () => {
  test('says which rooms the connection is in, and then each change, when the client has been told', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -Wj------l---', INBOUND);
      const unsub = '   -------------!';
      const expected = 'wi---(jT)(li)';

      const { pod } = slowly(scheduler);
      expectObservable(ask(e1, inRooms(pod, 'ada')), unsub).toBe(expected, {
        ...HEARD,
        i: 'in ',
        T: 'in tea',
      });
    });
  });
});

describe('who watches rooms$', () => {
  test('and joins what was left is told so after it was told of the leave', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -Sl--', { ...INBOUND, S: text({ type: 'stay' }) });
      const unsub = '   -----!';
      const expected = 'w-(lj)';

      const stay = handler('stay', Type.Unknown(), (_, { rooms$ }) =>
        rooms$.pipe(
          filter((present) => present.length === 0),
          map(() => join(['tea'])),
        ),
      );
      const pod = virtualPod(scheduler, { handlers: [...HANDLERS, stay] });
      const members: number[] = [];
      timer(4, scheduler).subscribe(() => {
        members.push(pod.hub.memberCount('tea'));
      });
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
      flush();
      expect(members).toEqual([1]);
    });
  });
});
