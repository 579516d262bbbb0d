import { describe, expect, test } from '@jest/globals';
import { EMPTY, NEVER, concat, filter, ignoreElements, map, throwError, timer, type Observable } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import type { Grant } from '../../src/auth/grant.js';
import { PublishError, type Broker } from '../../src/broker/broker.js';
import { memoryBroker } from '../../src/broker/memory.js';
import { readConfig } from '../../src/config/config.js';
import type { ConnectionContext, Pod } from '../../src/connection/context.js';
import type { Inbound } from '../../src/connection/transport.js';
import { transform } from '../../src/handlers/effect.js';
import type { Envelope } from '../../src/protocol/protocol.js';
import { silentLogger, type Logger } from '../../src/runtime/log.js';
import { noMetrics, type Metrics } from '../../src/runtime/metrics.js';
import { error, welcome } from '../../src/testing/heard.js';
import type { SaidMessage } from '../../src/testing/said.js';
import { testConversation } from '../../src/testing/testConversation.js';
import { act, acting } from '../support/acting.js';
import { ask, text } from '../support/ask.js';
import { ScriptedBroker } from '../support/broker.js';
import { rowConsumer } from '../support/consumer.js';
import { marbles, virtualRuntime } from '../support/marbles.js';
import { inRooms, virtualPod } from '../support/pod.js';

function chat(content: string, more: object = {}): Inbound {
  return text({ type: 'chat', data: { content }, ...more });
}

/** The same, for rows of a whole conversation. */
function say(content: string, more: object = {}): SaidMessage {
  return { type: 'chat', data: { content }, ...more };
}

/** A pod whose broker is scripted. */
function scripted(scheduler: TestScheduler, environment: Record<string, string> = {}) {
  const broker = new ScriptedBroker();
  const limits = readConfig(environment);
  return { broker, pod: virtualPod(scheduler, { broker, limits }) };
}

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
      const runtime = virtualRuntime(scheduler);
      const metrics: Metrics = {
        ...noMetrics,
        published: (outcome, seconds) => void happened.push(`${outcome} after ${seconds} s`),
        errorSent: (code) => void happened.push(`error ${code}`),
      };
      const log = {
        ...silentLogger,
        error: (_: unknown, message?: string) => happened.push(`logged ${message}`),
      } as unknown as Logger;
      const pod = virtualPod(scheduler, { broker, runtime, metrics, log });
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

describe('the outbound transform of a pod', () => {
  test('is applied from the first message on, to the connections that it wants, and before those of handlers', () => {
    marbles(({ hot, cold, expectObservable }, scheduler) => {
      const said = '    -ab-ab-';
      const e1 = hot('  ---h---', { h: act('it') });
      const unsub = '   -------!';
      const expected = 'wAB--B-';
      const others = '  wab-ab-';

      const shouted = map((envelope: Envelope) => ({ ...envelope, data: { content: contentOf(envelope).toUpperCase() } }));
      const withoutA = filter((envelope: Envelope) => contentOf(envelope) !== 'A');
      const broker = new ScriptedBroker();
      const pod = virtualPod(scheduler, {
        broker,
        handlers: [acting({ it: () => [transform(withoutA)] })],
        transform: ({ identity }) => (identity === 'ada' ? shouted : undefined),
      });
      cold(said).subscribe((content) => {
        broker.deliver('tea', content);
      });
      const heard = { w: 'welcome', a: 'chat a', b: 'chat b', A: 'chat A', B: 'chat B' };
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, heard);
      expectObservable(ask(NEVER, inRooms(pod, 'ben', ['tea'])), unsub).toBe(others, heard);
    });
  });

  test('closes the connection with 1011 if it throws', () => {
    marbles(({ expectObservable }, scheduler) => {
      const pod = virtualPod(scheduler, {
        transform: () => {
          throw new Error('a bug');
        },
      });
      expectObservable(ask(NEVER, inRooms(pod, 'ada', ['tea']))).toBe('(s|)', { s: 'shut 1011' });
    });
  });
});

function contentOf({ data }: Envelope): string {
  return (data as { content: string }).content;
}
