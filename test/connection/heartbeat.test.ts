import { describe, expect, test } from '@jest/globals';
import { VirtualAction, VirtualTimeScheduler, concatMap, ignoreElements, map, of, timer } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { readConfig } from '../../src/config/config.js';
import { heartbeatClock, heartbeatTickMs } from '../../src/connection/heartbeat.js';
import type { Inbound } from '../../src/connection/transport.js';
import { ask, text } from '../support/ask.js';
import { ScriptedBroker } from '../support/broker.js';
import { rowConsumer } from '../support/consumer.js';
import { marbles, virtualRuntime } from '../support/marbles.js';
import { inRooms, virtualPod } from '../support/pod.js';

test('one timer serves everybody, and none is left when nobody listens', () => {
  marbles(({ expectObservable, flush }, scheduler) => {
    const { tick$ } = heartbeatClock(virtualRuntime(scheduler), 10);
    expectObservable(tick$, '25ms !').toBe('10ms a 9ms b', { a: 0, b: 1 });
    expectObservable(tick$, '25ms !').toBe('10ms a 9ms b', { a: 0, b: 1 });
    flush();
    expect(scheduler.actions).toEqual([]);
  });
});

test('its clock goes with the time while the pod serves', () => {
  marbles(({ flush }, scheduler) => {
    const { tick$, now } = heartbeatClock(virtualRuntime(scheduler), 10);
    const read: number[] = [];
    const ticking = tick$.subscribe(() => read.push(now()));
    scheduler.schedule(() => read.push(now()), 37);
    scheduler.schedule(() => {
      ticking.unsubscribe();
    }, 45);
    flush();
    expect(read).toEqual([10, 20, 30, 37, 40]);
  });
});

test.each([
  { pingIntervalMs: 100, tickMs: 10 },
  { pingIntervalMs: 1000, tickMs: 40 },
  { pingIntervalMs: 24_999, tickMs: 999 },
  { pingIntervalMs: 25_000, tickMs: 1000 },
  { pingIntervalMs: 50_000, tickMs: 1000 },
])(
  'connections look at the clock every $tickMs ms where they are pinged every $pingIntervalMs ms',
  ({ pingIntervalMs, tickMs }) => {
    expect(heartbeatTickMs({ pingIntervalMs })).toBe(tickMs);
  },
);

/** What its clock says at its ticks, when the machine's time is set forward by so much after 25 ms. */
function readThrough(jumpMs: number): readonly number[] {
  const machine = new VirtualTimeScheduler(VirtualAction, 50);
  let aheadMs = 0;
  const runtime = { ...virtualRuntime(machine), scheduler: Object.assign(machine, { now: () => machine.frame + aheadMs }) };
  const { tick$, now } = heartbeatClock(runtime, 10);
  const read: number[] = [];
  const ticking = tick$.subscribe(() => read.push(now()));
  machine.schedule(() => (aheadMs = jumpMs), 25);
  machine.schedule(() => {
    ticking.unsubscribe();
  }, 45);
  machine.flush();
  return read;
}

test('its clock goes on by two ticks at most while the process stands still', () => {
  expect(readThrough(60_000)).toEqual([10, 20, 40, 50]);
});

test('its clock never goes back, though the machine’s time is set back', () => {
  expect(readThrough(-60_000)).toEqual([10, 20, 20, 30]);
});

function chat(content: string, more: object = {}): Inbound {
  return text({ type: 'chat', data: { content }, ...more });
}

const alive: Inbound = { kind: 'alive' };

/** A pod whose broker is scripted. */
function scripted(scheduler: TestScheduler, environment: Record<string, string> = {}) {
  const broker = new ScriptedBroker();
  const limits = readConfig(environment);
  return { broker, pod: virtualPod(scheduler, { broker, limits }) };
}

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
