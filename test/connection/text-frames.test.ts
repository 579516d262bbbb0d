import { describe, expect, test } from '@jest/globals';
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

/** A pod whose broker is scripted. */
function scripted(scheduler: TestScheduler, environment: Record<string, string> = {}) {
  const broker = new ScriptedBroker();
  const limits = readConfig(environment);
  return { broker, pod: virtualPod(scheduler, { broker, limits }) };
}

describe('a binary frame', () => {
  test('closes the connection with 1003', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }, scheduler) => {
      const inbound$ = hot<Inbound>('--b--', { b: { kind: 'binary' } });
      expectObservable(ask(inbound$, inRooms(virtualPod(scheduler), 'ada'))).toBe('w-(s|)', { w: 'welcome', s: 'shut 1003' });
      expectSubscriptions(inbound$.subscriptions).toBe('^-!');
    });
  });

  test('is followed by nothing that is handled, while the close waits for a socket that takes no more', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const { broker, pod } = scripted(scheduler);
      const inbound$ = hot<Inbound>('-cb-cb--', { c: chat('x'), b: { kind: 'binary' } });
      const actual$ = ask(inbound$, inRooms(pod, 'ada', ['tea']), rowConsumer(hot, '-f-----t'));
      expectObservable(actual$).toBe('w------(s|)', { w: 'welcome', s: 'shut 1003' });
      flush();
      expect(broker.published).toHaveLength(1);
    });
  });
});
