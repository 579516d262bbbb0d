import { describe, expect, test } from '@jest/globals';
import {
  EMPTY,
  NEVER,
  concat,
  concatMap,
  filter,
  ignoreElements,
  map,
  mergeMap,
  of,
  throwError,
  timer,
  type Observable,
} from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import Type from 'typebox';
import type { Grant } from '../../src/entrance/authorize.js';
import { PublishError, type Broker } from '../../src/broker/broker.js';
import { memoryBroker } from '../../src/broker/memory.js';
import { readConfig } from '../../src/config.js';
import { connection } from '../../src/connection/connection.js';
import { reply } from '../../src/handling/effect.js';
import { handler } from '../../src/handling/handler.js';
import { builtInHandlers } from '../../src/handlers/index.js';
import { silentLogger, type Logger } from '../../src/log.js';
import { noMetrics, type Metrics } from '../../src/metrics.js';
import type { ConnectionContext, Pod } from '../../src/pod.js';
import { presence } from '../../src/hub/presence.js';
import type { Inbound } from '../../src/connection/transport.js';
import { closed, error, welcome } from '../../src/testing/heard.js';
import type { SaidMessage } from '../../src/testing/said.js';
import { testConversation } from '../../src/testing/testConversation.js';
import { ScriptedBroker } from '../support/broker.js';
import { ask, text } from '../support/ask.js';
import { rowConsumer } from '../support/consumer.js';
import { marbles, virtualWorld } from '../support/marbles.js';
import { inRooms, readable, virtualPod } from '../support/pod.js';

const LAST = '2024-01-15T10:30:00.000Z';

function chat(content: string, more: object = {}): Inbound {
  return text({ type: 'chat', data: { content }, ...more });
}

/** The same, for rows of a whole conversation. */
function say(content: string, more: object = {}): SaidMessage {
  return { type: 'chat', data: { content }, ...more };
}

const alive: Inbound = { kind: 'alive' };
const drain: Inbound = { kind: 'drain', closeInMs: 5, reconnectInMs: 1234 };

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

describe('talking', () => {
  test('a chat comes back to its sender and to everybody in the room, and to nobody else', () => {
    testConversation(
      `
        ada        --c
        ada hears  w-c
        ben hears  w-c
        cat hears  w--
      `,
      {
        connections: { ada: { rooms: ['tea'] }, ben: { rooms: ['tea', 'milk'] }, cat: { rooms: ['milk'] } },
        says: { c: say('hi') },
        hears: { w: welcome, c: { type: 'chat', room: 'tea', from: 'ada', data: { content: 'hi' } } },
      },
    );
  });

  test('a message from nowhere, or to the empty room, goes to everybody, once', () => {
    testConversation(
      `
        ada        --c-
        ada hears  w-cd
        ben        ---d
        ben hears  w-cd
      `,
      {
        connections: { ada: {}, ben: { rooms: ['tea', 'milk'] } },
        says: { c: say('from nowhere'), d: say('to all', { room: '' }) },
        hears: {
          w: welcome,
          c: { type: 'chat', from: 'ada', data: { content: 'from nowhere' } },
          d: { type: 'chat', from: 'ben', data: { content: 'to all' } },
        },
      },
    );
  });

  test('a message that goes nowhere gets an error with its id', () => {
    testConversation(
      `
        ada        -ab
        ada hears  wab
      `,
      {
        connections: { ada: { rooms: ['tea', 'milk'] } },
        says: { a: say('?', { id: 'one' }), b: say('?', { id: 'two', room: 'secret' }) },
        hears: { w: welcome, a: error('room_required', 'one'), b: error('not_in_room', 'two') },
      },
    );
  });

  test('the server owns the envelope: sender, time and id, but for an id that is a UUID', () => {
    const uuid = '0190a0c0-5e7e-7b3a-8c5e-3f6c0d6f8e11';
    const forged = { from: 'server', timestamp: 'yesterday', extra: 1 };
    const owned = { type: 'chat', room: 'tea', from: 'ada' };
    testConversation(
      `
        ada        -ab
        ada hears  wab
      `,
      {
        connections: { ada: { rooms: ['tea'] } },
        says: { a: JSON.stringify(say('x', { ...forged, id: 'mine' })), b: say('y', { id: uuid }) },
        hears: {
          w: welcome,
          a: { ...owned, id: 'id-2', data: { content: 'x' }, timestamp: '1970-01-01T00:00:00.001Z' },
          b: { ...owned, id: uuid, data: { content: 'y' }, timestamp: '1970-01-01T00:00:00.002Z' },
        },
      },
    );
  });

  test('a binary frame closes with 1003', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }, scheduler) => {
      const inbound$ = hot<Inbound>('--b--', { b: { kind: 'binary' } });
      expectObservable(ask(inbound$, inRooms(virtualPod(scheduler), 'ada'))).toBe('w-(s|)', { w: 'welcome', s: 'shut 1003' });
      expectSubscriptions(inbound$.subscriptions).toBe('^-!');
    });
  });

  test('what follows a binary frame is not heard, while the close waits for a socket that takes no more', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      const inbound$ = hot<Inbound>('-cb-cb--', { c: chat('x'), b: { kind: 'binary' } });
      const actual$ = ask(inbound$, inRooms(pod, 'ada', ['tea']), rowConsumer(hot, '-f-----t'));
      expectObservable(actual$).toBe('w------(s|)', { w: 'welcome', s: 'shut 1003' });
      flush();
      expect(broker.published).toHaveLength(1);
    });
  });

  test('the tenth bad message in a row gets its error and then the close 4500; what follows is not handled', () => {
    testConversation(
      `
        ada        -bbbbbbbbbb---p
        ada hears  weeeeeeeee(ex)-
      `,
      {
        connections: { ada: {} },
        says: { b: 'nope', p: { type: 'ping' } },
        hears: { w: welcome, e: error('invalid_json'), x: closed(4500) },
      },
    );
  });

  test('a good message starts the count of bad ones again, and one that goes nowhere is no bad one', () => {
    testConversation(
      `
        ada        -bbbbbbbbbpbbbbbbbbbnbbbbbbbbb
        ada hears  weeeeeeeeepeeeeeeeeeneeeeeeeee
      `,
      {
        connections: { ada: {} },
        says: { b: 'nope', p: { type: 'ping' }, n: say('x', { room: 'nowhere' }) },
        hears: { w: welcome, e: error('invalid_json'), p: { type: 'pong' }, n: error('not_in_room') },
      },
    );
  });
});

describe('publishing', () => {
  test('a publish that fails tells the sender which message and why', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      const outcomes = ['unavailable', 'unconfirmed'] as const;
      broker.accept = () => throwError(() => new PublishError(outcomes[broker.published.length - 1] ?? 'unavailable', 'down'));
      const inbound$ = hot<Inbound>('-ab', { a: chat('a', { id: 'one' }), b: chat('b', { id: 'two' }) });
      expectObservable(ask(inbound$, inRooms(pod, 'ada', ['tea'])), '9ms !').toBe('wab', {
        w: 'welcome',
        a: 'error unavailable one',
        b: 'error unconfirmed two',
      });
    });
  });

  test('a broker that fails as none may is logged, and the sender told that the outcome is open', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const broker = new ScriptedBroker();
      const logged: unknown[] = [];
      const log = { ...silentLogger, error: (_: unknown, message?: string) => logged.push(message) } as unknown as Logger;
      const pod = virtualPod(scheduler, { broker, log });
      broker.accept = () => throwError(() => new TypeError('a bug'));
      expectObservable(ask(hot<Inbound>('-a', { a: chat('a', { id: 'one' }) }), inRooms(pod, 'ada', ['tea'])), '9ms !').toBe(
        'wa',
        {
          w: 'welcome',
          a: 'error unconfirmed one',
        },
      );
      flush();
      expect(logged).toEqual(['broker failed']);
    });
  });

  test('32 publishes that have not come back pause the socket; what the same read brought waits; each that comes back lets one go', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      broker.accept = () => timer(100, scheduler).pipe(ignoreElements());
      const inbound$ = hot<Inbound>(`-(${'c'.repeat(34)})`, { c: chat('x') });
      expectObservable(ask(inbound$, inRooms(pod, 'ada', ['tea'])), '100ms !').toBe('wp', { w: 'welcome', p: 'pause' });
      flush();
      expect(broker.published).toHaveLength(32);
    });
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      broker.returns = true;
      broker.accept = () => timer(100, scheduler).pipe(ignoreElements());
      const inbound$ = hot<Inbound>(`-(${'c'.repeat(34)})`, { c: chat('x') });
      expectObservable(ask(inbound$, inRooms(pod, 'ada', ['tea'])), '150ms !').toBe('wp 99ms (cr)', {
        w: 'welcome',
        p: 'pause',
        c: Array.from({ length: 32 }, () => 'chat x').join(' + '),
        r: 'resume',
      });
      flush();
      expect(broker.published).toHaveLength(34);
    });
  });
});

describe('a publish whose connection has ended', () => {
  /** What became of a publish that was under way for 50 ms when its connection ended at 10 ms. */
  function outlived(outcome$: Observable<never>) {
    const happened: string[] = [];
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const broker: Broker = {
        ...memoryBroker(),
        publish: () => concat(timer(50, scheduler).pipe(ignoreElements()), outcome$),
      };
      const world = virtualWorld(scheduler);
      const metrics: Metrics = {
        ...noMetrics,
        published: (outcome, seconds) => void happened.push(`${outcome} after ${seconds} s`),
        errorSent: (code) => void happened.push(`error ${code}`),
      };
      const log = {
        ...silentLogger,
        error: (_: unknown, message?: string) => happened.push(`logged ${message}`),
      } as unknown as Logger;
      const pod = virtualPod(scheduler, { broker, world, metrics, log });
      const inbound$ = hot<Inbound>('-c', { c: chat('x') });
      expectObservable(ask(inbound$, inRooms(pod, 'ada', ['tea'])), '10ms !').toBe('w', { w: 'welcome' });
      flush();
      expect(scheduler.actions).toEqual([]);
    });
    return happened;
  }

  test('goes on, and is counted when it is accepted', () => {
    expect(outlived(EMPTY)).toEqual(['ok after 0.05 s']);
  });

  test('is counted when it fails; nobody is there to be told', () => {
    expect(outlived(throwError(() => new PublishError('unconfirmed', 'down')))).toEqual(['unconfirmed after 0.05 s']);
  });

  test('is logged when the broker fails as none may', () => {
    expect(outlived(throwError(() => new TypeError('a bug')))).toEqual(['unconfirmed after 0.05 s', 'logged broker failed']);
  });
});

describe('the heartbeat', () => {
  test('a ping every 25 s, the first after a part of that by chance', () => {
    marbles(({ cold, expectObservable }, scheduler) => {
      const inbound$ = cold<Inbound>('10s a 20s a 20s a', { a: alive });
      expectObservable(ask(inbound$, inRooms(virtualPod(scheduler), 'ada')), '70s !').toBe('w 12999ms p 24999ms p 24999ms p', {
        w: 'welcome',
        p: 'ping',
      });
    });
  });

  test('a connection that says nothing for 60 s is closed with 4001, then and not before', () => {
    marbles(({ cold, expectObservable }, scheduler) => {
      const inbound$ = cold<Inbound>('-a', { a: alive });
      const expected = 'w 12999ms p 24999ms p 22999ms (s|)';
      expectObservable(ask(inbound$, inRooms(virtualPod(scheduler), 'ada'))).toBe(expected, {
        w: 'welcome',
        p: 'ping',
        s: 'shut 4001 now',
      });
    });
  });

  test('any frame is a sign of life', () => {
    marbles(({ cold, expectObservable }, scheduler) => {
      const inbound$ = cold<Inbound>('59s a 59s b 59s c 59s -', { a: alive, b: text('nope'), c: text({ type: 'pong' }) });
      const actual$ = ask(inbound$, inRooms(virtualPod(scheduler), 'ada')).pipe(
        concatMap((row) => (row === 'ping' ? [] : of(row))),
      );
      expectObservable(actual$, '230s !').toBe('w 118s e', { w: 'welcome', e: 'error invalid_json' });
    });
  });

  test('while the socket is not read, the clock of the timeout stands still', () => {
    marbles(({ cold, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler, { PUBLISH_WINDOW: '1' });
      broker.returns = true;
      broker.accept = () => timer(100_000, scheduler).pipe(ignoreElements());
      const actual$ = ask(cold<Inbound>('-c', { c: chat('x') }), inRooms(pod, 'ada', ['tea'])).pipe(
        concatMap((row) => (row === 'ping' ? [] : of(row))),
      );
      expectObservable(actual$).toBe('wp 99999ms (cr) 60995ms (s|)', {
        w: 'welcome',
        p: 'pause',
        c: 'chat x',
        r: 'resume',
        s: 'shut 4001 now',
      });
    });
  });

  test('the clock goes on once the last is said, whatever was held: a close that is never read ends with 4001', () => {
    marbles(({ cold, hot, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler, { PUBLISH_WINDOW: '2' });
      broker.confirm = () => timer(20, scheduler).pipe(map(() => true));
      const inbound$ = cold<Inbound>('b'.repeat(14), { b: text('bad') });
      const actual$ = ask(inbound$, inRooms(pod, 'ada', ['tea']), rowConsumer(hot, 'f')).pipe(
        concatMap((row) => (row === 'ping' ? [] : of(row))),
      );
      const expected = 'p 19ms r 60979ms (s|)';
      expectObservable(actual$, '100s !').toBe(expected, { p: 'pause', r: 'resume', s: 'shut 4001 now' });
    });
  });
});

describe('a slow consumer', () => {
  test('is closed with 4000 when the 257th message has to wait', () => {
    marbles(({ cold, hot, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      cold(`---${'d'.repeat(257)}`).subscribe(() => {
        broker.deliver('tea', 'x');
      });
      const actual$ = ask(NEVER, inRooms(pod, 'ada', ['tea']), rowConsumer(hot, '-f'));
      expectObservable(actual$).toBe('w 258ms (s|)', { w: 'welcome', s: 'shut 4000' });
    });
  });

  test('is not harmed by a turn that brings more than its buffer while its socket takes it', () => {
    marbles(({ cold, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      cold('--d').subscribe(() => {
        for (let i = 0; i < 1000; i++) broker.deliver('tea', 'x');
      });
      const all = Array.from({ length: 1000 }, () => 'chat x').join(' + ');
      expectObservable(ask(NEVER, inRooms(pod, 'ada', ['tea'])), '9ms !').toBe('w-a', { w: 'welcome', a: all });
    });
  });

  test('that is back in time gets what waited, in order', () => {
    marbles(({ cold, hot, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      cold('--abc').subscribe((content) => {
        broker.deliver('tea', content);
      });
      const actual$ = ask(NEVER, inRooms(pod, 'ada', ['tea']), rowConsumer(hot, '-f-----t'));
      expectObservable(actual$, '20ms !').toBe('w------(abc)', { w: 'welcome', a: 'chat a', b: 'chat b', c: 'chat c' });
    });
  });

  test('with drop-oldest, loses the oldest and is told by one gap since the first lost message', () => {
    marbles(({ cold, hot, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler, { SLOW_CONSUMER_POLICY: 'drop-oldest', SEND_BUFFER_MESSAGES: '2' });
      cold('--abcd').subscribe((content) => {
        broker.deliver('tea', content, LAST);
      });
      const actual$ = ask(NEVER, inRooms(pod, 'ada', ['tea']), rowConsumer(hot, '-f-----t'));
      expectObservable(actual$, '20ms !').toBe('w------(gcd)', {
        w: 'welcome',
        g: 'gap slow_consumer',
        c: 'chat c',
        d: 'chat d',
      });
    });
  });

  test('with drop-oldest, is told of a gap since the earliest of all that was lost, whatever came first', () => {
    marbles(({ cold, hot, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler, { SLOW_CONSUMER_POLICY: 'drop-oldest', SEND_BUFFER_MESSAGES: '2' });
      const earlier = '1969-12-31T23:59:59.000Z';
      cold('--abcd', { a: LAST, b: earlier, c: LAST, d: LAST }).subscribe((timestamp) => {
        broker.deliver('tea', 'late', timestamp);
      });
      const since$ = connection(NEVER, rowConsumer(hot, '-f-----t'), inRooms(pod, 'ada', ['tea'])).pipe(
        mergeMap((outbound) => [readable(outbound)].flat()),
        map((message) => (message as { data?: { since?: string } }).data?.since),
        filter((since) => since !== undefined),
      );
      expectObservable(since$, '20ms !').toBe('-------s', { s: earlier });
    });
  });

  test("with drop-oldest, is closed all the same when what waits is the server's own word", () => {
    marbles(({ cold, hot, expectObservable }, scheduler) => {
      const { pod } = scripted(scheduler, { SLOW_CONSUMER_POLICY: 'drop-oldest', SEND_BUFFER_MESSAGES: '2' });
      const actual$ = ask(cold('--ppp', { p: text({ type: 'ping' }) }), inRooms(pod, 'ada'), rowConsumer(hot, '-f'));
      expectObservable(actual$).toBe('w---(s|)', { w: 'welcome', s: 'shut 4000' });
    });
  });
});

describe('a handler that fails', () => {
  const faulty = handler('faulty', Type.Unknown(), (message$) =>
    message$.pipe(
      map(({ data }) => {
        if (data === 'throw') throw new Error('a bug');
        return reply({ type: 'fine', data: {} });
      }),
    ),
  );

  test('costs the message it failed on an error, and nothing else', () => {
    testConversation(
      `
        ada        -abc
        ada hears  wabc
      `,
      {
        connections: { ada: {} },
        says: { a: { type: 'faulty', data: 'throw', id: 'one' }, b: { type: 'faulty' }, c: { type: 'ping' } },
        hears: { w: welcome, a: error('unavailable', 'one'), b: { type: 'fine', data: {} }, c: { type: 'pong' } },
        handlers: [...builtInHandlers, faulty],
      },
    );
  });
});

describe('a drain', () => {
  test('is told, stops the reading, and closes with 1001 when its time has come', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const inbound$ = hot<Inbound>('--dp', { d: drain, p: text({ type: 'ping' }) });
      expectObservable(ask(inbound$, inRooms(virtualPod(scheduler), 'ada', ['tea']))).toBe('w-(dp) -(s|)', {
        w: 'welcome',
        d: 'shutdown',
        p: 'pause',
        s: 'shut 1001',
      });
    });
  });

  test('waits for publishes to come back', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      broker.returns = true;
      broker.accept = () => timer(50, scheduler).pipe(ignoreElements());
      const inbound$ = hot<Inbound>('-cd', { c: chat('x'), d: drain });
      expectObservable(ask(inbound$, inRooms(pod, 'ada', ['tea']))).toBe('w-(dp) 45ms (cs|)', {
        w: 'welcome',
        c: 'chat x',
        d: 'shutdown',
        p: 'pause',
        s: 'shut 1001',
      });
    });
  });

  test('flushes what waits before the close', () => {
    marbles(({ cold, hot, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      cold('--m').subscribe(() => {
        broker.deliver('tea', 'last');
      });
      const actual$ = ask(hot<Inbound>('---d', { d: drain }), inRooms(pod, 'ada', ['tea']), rowConsumer(hot, '-f 98ms t'));
      expectObservable(actual$).toBe('w--p 96ms (lds|)', {
        w: 'welcome',
        p: 'pause',
        l: 'chat last',
        d: 'shutdown',
        s: 'shut 1001',
      });
    });
  });

  test('says nothing but the close to one that was not welcomed yet', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      broker.confirm = () => NEVER;
      expectObservable(ask(hot<Inbound>('--d', { d: drain }), inRooms(pod, 'ada', ['tea']))).toBe('--p----(s|)', {
        p: 'pause',
        s: 'shut 1001',
      });
    });
  });

  test('tells it too to one that is welcomed only after it has begun, behind the welcome, and handles nothing that it said', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      broker.confirm = (room) => (room === 'tea' ? timer(3, scheduler).pipe(map(() => true)) : [true]);
      const inbound$ = hot<Inbound>('-cd', { c: chat('x'), d: drain });
      expectObservable(ask(inbound$, inRooms(pod, 'ada', ['tea']))).toBe('-p-(wd)(s|)', {
        p: 'pause',
        w: 'welcome',
        d: 'shutdown',
        s: 'shut 1001',
      });
      flush();
      expect(broker.published).toEqual([]);
    });
  });
});

describe('the end', () => {
  test('leaves the rooms at once, the broker after the linger of 1 s, and no timer', () => {
    marbles(({ expectObservable, hot, flush }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      const socket = rowConsumer(hot, '-f');
      const members: number[] = [];
      const rooms: string[][] = [];
      const look = () => {
        members.push(pod.hub.memberCount('tea'));
        rooms.push([...broker.subscribed]);
      };
      const inbound$ = hot<Inbound>('-c', { c: chat('x') });
      expectObservable(ask(inbound$, inRooms(pod, 'ada', ['tea']), socket), '5ms !').toBe('w', { w: 'welcome' });
      for (const at of [4, 6, 1004, 1006]) timer(at, scheduler).subscribe(look);
      flush();
      expect(members).toEqual([1, 0, 0, 0]);
      expect(rooms).toEqual([['', 'tea'], ['', 'tea'], ['', 'tea'], ['']]);
      expect(socket.writable$.observed).toBe(false);
      expect(scheduler.actions).toEqual([]);
    });
  });
});

describe('with a token', () => {
  const DAY_MS = 86_400_000;
  const anything: Grant = { mayJoin: () => true, mayPublish: () => true, mayPublishGlobally: () => true };
  const holding = (pod: Pod, expiresAtMs: number, grant: Partial<Grant> = {}): ConnectionContext => ({
    ...inRooms(pod, 'ada', ['a']),
    access: { grant: { ...anything, ...grant }, expiresAtMs },
  });

  test('it ends with 4002 at the first tick at which the token has expired, and what was said before is answered', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const { pod } = scripted(scheduler, { PING_INTERVAL_MS: '25000' });
      const inbound$ = cold<Inbound>('2400ms a', { a: text({ type: 'ping' }) });
      expectObservable(ask(inbound$, holding(pod, 2500))).toBe('w 2399ms p 599ms (x|)', {
        w: 'welcome',
        p: 'pong',
        x: 'shut 4002',
      });
      expectSubscriptions(inbound$.subscriptions).toBe('^ 2999ms !');
    });
  });

  test('it ends though its rooms were never confirmed, its socket is full and its client not read', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      broker.confirm = () => NEVER;
      const inbound$ = hot<Inbound>(`(${'m'.repeat(32)})`, { m: text({ type: 'pong' }) });
      const actual$ = ask(inbound$, holding(pod, 1000), rowConsumer(hot, 'f'));
      expectObservable(actual$).toBe('p 999ms (x|)', { p: 'pause', x: 'shut 4002' });
    });
  });

  test('what the token does not grant is answered `forbidden` with its id, is no bad message and is not published', () => {
    marbles(({ cold, expectObservable, flush }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      const context = holding(pod, DAY_MS, { mayPublish: (room) => room === 'b', mayPublishGlobally: () => false });
      const inbound$ = cold<Inbound>('abcd', {
        a: chat('x', { id: '1' }),
        b: chat('x', { room: '', id: '2' }),
        c: chat('x', { room: 'b', id: '3' }),
        d: chat('x', { room: 'elsewhere', id: '4' }),
      });
      const actual$ = ask(inbound$, { ...context, rooms: ['a', 'b'] }).pipe(filter((said) => said !== 'welcome'));
      expectObservable(actual$, '10ms !').toBe('rb-d', {
        r: 'error room_required 1',
        b: 'error forbidden 2',
        d: 'error not_in_room 4',
      });
      flush();
      expect(broker.published.map((each) => each.split(' ')[0])).toEqual(['b']);
    });
  });

  test('20 messages that it may not publish close nothing', () => {
    marbles(({ cold, expectObservable }, scheduler) => {
      const { pod } = scripted(scheduler);
      const context = holding(pod, DAY_MS, { mayPublish: () => false });
      const actual$ = ask(cold<Inbound>(`(${'m'.repeat(20)})`, { m: chat('x') }), context);
      expectObservable(actual$, '10ms !').toBe(`(w${'f'.repeat(20)})`, { w: 'welcome', f: 'error forbidden' });
    });
  });

  test('a grant that fails costs the message, which is not published, and nothing else', () => {
    marbles(({ cold, expectObservable, flush }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      const mayPublish = () => {
        throw new Error('no idea');
      };
      const inbound$ = cold<Inbound>('a---b', { a: chat('x', { id: '1' }), b: text({ type: 'ping' }) });
      const actual$ = ask(inbound$, holding(pod, DAY_MS, { mayPublish }));
      expectObservable(actual$, '10ms !').toBe('(wx)p', { w: 'welcome', x: 'error unavailable 1', p: 'pong' });
      flush();
      expect(broker.published).toEqual([]);
    });
  });
});
