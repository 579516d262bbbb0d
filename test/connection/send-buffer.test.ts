import { describe, expect, test } from '@jest/globals';
import { NEVER, filter, map, mergeMap } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { readConfig } from '../../src/config/config.js';
import { connection } from '../../src/connection/connection.js';
import { sendBuffer } from '../../src/connection/send-buffer.js';
import type { Outbound } from '../../src/connection/transport.js';
import { publicationBatch } from '../../src/hub/frame.js';
import { noMetrics } from '../../src/runtime/metrics.js';
import { ask, text } from '../support/ask.js';
import { ScriptedBroker } from '../support/broker.js';
import { rowConsumer } from '../support/consumer.js';
import { marbles, virtualRuntime } from '../support/marbles.js';
import { inRooms, readable, virtualPod } from '../support/pod.js';

const limits = readConfig({ SLOW_CONSUMER_POLICY: 'drop-oldest' });

/** What the buffers of a pod make of drops, each by its time. */
function pod() {
  const runtime = virtualRuntime(new TestScheduler(() => undefined));
  const { dropOldest } = sendBuffer(limits, noMetrics, runtime);
  return (publishedAtMs: number, present?: Outbound) => {
    const gap = dropOldest?.gap(publicationBatch([], publishedAtMs), present);
    if (gap === undefined) throw new Error('drops nothing');
    return gap;
  };
}

describe('the gap of a slow consumer', () => {
  test('stays as it is for what is no older than its since', () => {
    const drop = pod();
    const gap = drop(5000);
    expect(drop(7000, gap)).toBe(gap);
    expect(drop(5000, gap)).toBe(gap);
  });

  test('moves back for what is older', () => {
    const drop = pod();
    expect(readable(drop(4000, drop(5000)))).toMatchObject([
      { data: { reason: 'slow_consumer', since: '1970-01-01T00:00:04.000Z' } },
    ]);
  });

  test('knows nothing of the gaps of other connections', () => {
    const drop = pod();
    const ours = drop(5000);
    const theirs = drop(9000);
    expect(drop(7000, ours)).toBe(ours);
    expect(readable(drop(7000, theirs))).toMatchObject([{ data: { since: '1970-01-01T00:00:07.000Z' } }]);
  });
});

const LAST = '2024-01-15T10:30:00.000Z';

/** A pod whose broker is scripted. */
function scripted(scheduler: TestScheduler, environment: Record<string, string> = {}) {
  const broker = new ScriptedBroker();
  const limits = readConfig(environment);
  return { broker, pod: virtualPod(scheduler, { broker, limits }) };
}

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
