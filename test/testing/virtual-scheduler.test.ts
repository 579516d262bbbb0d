import { describe, expect, test } from '@jest/globals';
import { interval, take, timer } from 'rxjs';
import { Timeline, VirtualScheduler } from '../../src/testing/virtual-scheduler.js';

function setUp() {
  const scheduler = new VirtualScheduler(1000);
  const timeline = new Timeline(scheduler);
  const log: string[] = [];
  const note = (what: string) => () => {
    log.push(`${scheduler.now()} ${what}`);
  };
  const pass = (ms: number) => {
    const untilMs = scheduler.now() + ms;
    while (scheduler.step(untilMs));
    scheduler.pass(untilMs);
  };
  return { scheduler, timeline, log, note, pass };
}

describe('virtual time', () => {
  test('what is scheduled happens in the order of its time, and of its scheduling where that is the same', () => {
    const { timeline, log, note, pass } = setUp();
    for (const [what, ms] of [
      ['c', 5],
      ['a', 1],
      ['d', 5],
      ['b', 3],
      ['e', 5],
    ] as const)
      timeline.schedule(note(what), ms);
    pass(10);
    expect(log).toEqual(['1001 a', '1003 b', '1005 c', '1005 d', '1005 e']);
  });

  test('keeps that order among very many', () => {
    const { timeline, scheduler, pass } = setUp();
    const seen: number[] = [];
    for (let at = 0; at < 5000; at++) {
      const ms = (at * 7919) % 1009;
      timeline.schedule(() => seen.push((scheduler.now() - 1000) * 10_000 + at), ms);
    }
    pass(2000);
    expect(seen).toHaveLength(5000);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  test('time passes where nothing happens, and not beyond what is asked', () => {
    const { timeline, scheduler, log, note, pass } = setUp();
    timeline.schedule(note('late'), 100);
    pass(99);
    expect([scheduler.now(), log]).toEqual([1099, []]);
    pass(1);
    expect(log).toEqual(['1100 late']);
  });

  test('carries RxJS: timers, intervals and their end', () => {
    const { timeline, log, note, pass } = setUp();
    timer(5, timeline).subscribe(note('timer'));
    interval(10, timeline)
      .pipe(take(3))
      .subscribe({ next: note('interval'), complete: note('complete') });
    pass(100);
    expect(log).toEqual(['1005 timer', '1010 interval', '1020 interval', '1030 interval', '1030 complete']);
    expect(timeline.pending).toBe(0);
  });

  test('forgets what is unsubscribed from', () => {
    const { timeline, log, note, pass } = setUp();
    const scheduled = timeline.schedule(note('never'), 5);
    expect(timeline.pending).toBe(1);
    scheduled.unsubscribe();
    expect(timeline.pending).toBe(0);
    pass(10);
    expect(log).toEqual([]);
  });
});

describe('a process', () => {
  test('that is stalled does everything when it goes on: its timers, and then what came in', () => {
    const { timeline, log, note, pass } = setUp();
    timeline.arrive(note('arrival'), 1);
    timeline.schedule(note('timer'), 5);
    timeline.schedule(note('in time'), 30);
    timeline.stalledUntilMs = 1020;
    pass(50);
    expect(log).toEqual(['1020 timer', '1020 arrival', '1030 in time']);
  });

  test('that is dead does nothing', () => {
    const { timeline, log, note, pass } = setUp();
    timeline.schedule(note('never'), 5);
    timeline.isDead = true;
    pass(50);
    expect(log).toEqual([]);
  });
});
