import { describe, test } from '@jest/globals';
import { NEVER, concat, map, mergeMap, of, throwError, timer } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { RoomRefusedError } from '../../src/broker/broker.js';
import { readConfig } from '../../src/config/config.js';
import type { Inbound } from '../../src/connection/transport.js';
import { presence } from '../../src/hub/presence.js';
import { ask, text } from '../support/ask.js';
import { ScriptedBroker } from '../support/broker.js';
import { marbles } from '../support/marbles.js';
import { inRooms, virtualPod } from '../support/pod.js';
import { HANDLERS, HEARD, INBOUND } from '../support/room-requests.js';

function chat(content: string, more: object = {}): Inbound {
  return text({ type: 'chat', data: { content }, ...more });
}

/** A pod whose broker is scripted. */
function scripted(scheduler: TestScheduler, environment: Record<string, string> = {}) {
  const broker = new ScriptedBroker();
  const limits = readConfig(environment);
  return { broker, pod: virtualPod(scheduler, { broker, limits }) };
}

describe('joining', () => {
  test('the first frame is a welcome, sent when the last of the rooms is confirmed', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      broker.confirm = (room) => timer(room === 'b' ? 5 : 1, scheduler).pipe(map(() => true));
      const actual$ = ask(hot<Inbound>('-'), inRooms(pod, 'ada', ['a', 'b']));
      expectObservable(actual$, '10ms !').toBe('5ms w', { w: 'welcome' });
    });
  });

  test('what the client said before the welcome is handled after it, in order', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      broker.confirm = () => timer(5, scheduler).pipe(map(() => true));
      const inbound$ = hot<Inbound>('-ab', { a: text({ type: 'ping', id: 'p', data: 1 }), b: text('nope') });
      const actual$ = ask(inbound$, inRooms(pod, 'ada', ['a']));
      expectObservable(actual$, '10ms !').toBe('-P---(wpeR)', {
        P: 'pause',
        w: 'welcome',
        p: 'pong',
        e: 'error invalid_json',
        R: 'resume',
      });
    });
  });

  test('the first message before the welcome pauses the socket, which is read again once all that it brought is handled', () => {
    marbles(({ cold, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      broker.confirm = () => timer(50, scheduler).pipe(map(() => true));
      const inbound$ = cold<Inbound>('m'.repeat(32), { m: text({ type: 'pong' }) });
      const actual$ = ask(inbound$, inRooms(pod, 'ada', ['a']));
      expectObservable(actual$, '60ms !').toBe('p 49ms (wr)', { p: 'pause', w: 'welcome', r: 'resume' });
    });
  });

  test('a connection whose subscription is not confirmed hears nothing of its room', () => {
    marbles(({ cold, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      broker.confirm = (room) => (room === '' ? [true] : NEVER);
      cold('-d').subscribe(() => {
        broker.deliver('a', 'early');
        broker.deliver('', 'early too');
      });
      expectObservable(ask(NEVER, inRooms(pod, 'ada', ['a'])), '10ms !').toBe('-');
    });
  });
});

describe('presence', () => {
  test('of the joiner comes before anything that it said before its welcome', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      broker.confirm = () => timer(5, scheduler).pipe(map(() => true));
      broker.accept = (room, payload) => {
        broker.events$.next({ kind: 'publication', room, payload: Buffer.from(payload) });
        return [];
      };
      const telling = presence(pod, 100).subscribe();
      timer(9, scheduler).subscribe(() => {
        telling.unsubscribe();
      });
      const actual$ = ask(hot<Inbound>('-c', { c: chat('early') }), inRooms(pod, 'ada', ['tea']));
      expectObservable(actual$, '9ms !').toBe('-p---(wrb)', {
        p: 'pause',
        w: 'welcome',
        r: 'resume',
        b: 'presence online ada + chat early',
      });
    });
  });
});

describe('a room that the broker refuses', () => {
  /** A pod whose broker takes 3 ms to refuse the tea room, and confirms the others. */
  function refusing(scheduler: TestScheduler, environment: Record<string, string> = {}) {
    const broker = new ScriptedBroker();
    broker.returns = true;
    broker.confirm = (room) => {
      if (room !== 'tea') return [true];
      return timer(3, scheduler).pipe(
        map(() => {
          throw new RoomRefusedError('no permission');
        }),
      );
    };
    return virtualPod(scheduler, { broker, handlers: HANDLERS, limits: readConfig(environment) });
  }

  test('closes with 1008 who came for it', () => {
    marbles(({ expectObservable }, scheduler) => {
      const pod = refusing(scheduler);
      expectObservable(ask(NEVER, inRooms(pod, 'ada', ['milk', 'tea']))).toBe('---(s|)', { s: 'shut 1008' });
      expectObservable(ask(NEVER, inRooms(pod, 'ben', ['milk'])), '9ms !').toBe('w', HEARD);
    });
  });

  test('costs who wants to join it an error with the message’s id, and nothing else', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -j---t-c-', INBOUND);
      const unsub = '   ---------!';
      const expected = 'w---fn-c-';

      const heard = { ...HEARD, f: 'error forbidden j' };
      expectObservable(ask(e1, inRooms(refusing(scheduler), 'ada', ['milk'])), unsub).toBe(expected, heard);
    });
  });

  test('counts in the publish window no longer', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -jc-------', INBOUND);
      const unsub = '   ----------!';
      const pod = refusing(scheduler, { PUBLISH_WINDOW: '1' });
      const heard = { ...HEARD, f: 'error forbidden j', p: 'pause', r: 'resume' };
      expectObservable(ask(e1, inRooms(pod, 'ada', ['milk'])), unsub).toBe('wp--(fcr)', heard);
    });
  });

  test('closes who was in it, where the broker has changed its mind', () => {
    marbles(({ expectObservable }, scheduler) => {
      const broker = new ScriptedBroker();
      broker.confirm = (room) =>
        room === 'tea'
          ? concat(of(true), timer(3, scheduler).pipe(mergeMap(() => throwError(() => new RoomRefusedError('no')))))
          : [true];
      const pod = virtualPod(scheduler, { broker });
      expectObservable(ask(NEVER, inRooms(pod, 'ada', ['tea']))).toBe('w--(s|)', { ...HEARD, s: 'shut 1008' });
    });
  });
});

describe('presence', () => {
  test('tells the room who comes and goes while they are connected', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  ----j---l--', INBOUND);
      const unsub = '   -----------!';

      const pod = virtualPod(scheduler, { handlers: HANDLERS });
      const telling = presence(pod, 100).subscribe();
      timer(10, scheduler).subscribe(() => {
        telling.unsubscribe();
      });
      const heard = { w: 'welcome', b: 'presence online ben', a: 'presence online ada', o: 'presence offline ada' };
      ask(e1, inRooms(pod, 'ada')).subscribe();
      expectObservable(ask(NEVER, inRooms(pod, 'ben', ['tea'])), unsub).toBe('(wb)a---o', heard);
    });
  });
});
