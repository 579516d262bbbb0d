import { expect, test } from '@jest/globals';
import { VirtualTimeScheduler, VirtualAction } from 'rxjs';
import { heartbeatClock } from '../../src/connection/heartbeat.js';
import { marbles, virtualRuntime } from '../support/marbles.js';

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
