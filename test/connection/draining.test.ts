import { describe, expect, test } from '@jest/globals';
import { NEVER, ignoreElements, map, timer } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { readConfig } from '../../src/config/config.js';
import type { Inbound } from '../../src/connection/transport.js';
import { ask, text } from '../support/ask.js';
import { ScriptedBroker } from '../support/broker.js';
import { rowConsumer } from '../support/consumer.js';
import { marbles } from '../support/marbles.js';
import { inRooms, virtualPod } from '../support/pod.js';

function chat(content: string, more: object = {}): Inbound {
  return text({ type: 'chat', data: { content }, ...more });
}
const drain: Inbound = { kind: 'drain', closeInMs: 5, reconnectInMs: 1234 };

/** A pod whose broker is scripted. */
function scripted(scheduler: TestScheduler, environment: Record<string, string> = {}) {
  const broker = new ScriptedBroker();
  const limits = readConfig(environment);
  return { broker, pod: virtualPod(scheduler, { broker, limits }) };
}

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
