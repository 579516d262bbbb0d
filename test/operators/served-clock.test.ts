import { describe, expect, test } from '@jest/globals';
import { timer } from 'rxjs';
import { ServedClock } from '../../src/operators/served-clock.js';
import { Timeline, VirtualScheduler } from '../../src/testing/virtual-scheduler.js';

const WAIT_MS = 800;

/** A process in virtual time that waits for its oldest, and can be stalled. */
class Scene {
  readonly scheduler = new VirtualScheduler(0);
  readonly process = new Timeline(this.scheduler);
  readonly clock = new ServedClock(WAIT_MS, { scheduler: this.process, turnEnd$: timer(0, this.process) });
  /** When each that waits is due, by the clock. */
  readonly waiting: number[] = [];
  readonly log: string[] = [];

  begin(): void {
    this.waiting.push(this.clock.at(this.scheduler.now()) + WAIT_MS);
  }

  watch(): void {
    this.clock
      .reached$(() => this.waiting[0])
      .subscribe((dueMs) => this.log.push(`${this.scheduler.now()} ${dueMs === undefined ? 'idle' : 'overdue'}`));
  }

  at(ms: number, act: () => void): void {
    this.scheduler.enter(ms, { act: () => (act(), true) });
  }

  until(ms: number): readonly string[] {
    while (this.scheduler.step(ms));
    this.scheduler.pass(ms);
    return this.log;
  }
}

describe('a deadline', () => {
  test('is reached when its wait is over', () => {
    const it = new Scene();
    it.begin();
    it.watch();
    expect(it.until(5000)).toEqual(['800 overdue']);
  });

  test('is neither put off nor brought forward by settled ones before it', () => {
    const it = new Scene();
    it.begin();
    it.watch();
    for (let ms = 130; ms <= 780; ms += 130) {
      it.at(ms, () => {
        it.waiting.shift();
        it.begin();
      });
    }
    expect(it.until(5000)).toEqual(['1580 overdue']);
  });

  test('counts a stall, however long, as a quarter of the wait, and is reached after the input of that time is read', () => {
    const it = new Scene();
    it.begin();
    it.watch();
    it.at(100, () => (it.process.stalledUntilMs = 9000));
    expect(it.until(20_000)).toEqual(['9600 overdue']);

    const other = new Scene();
    other.begin();
    other.watch();
    other.at(700, () => (other.process.stalledUntilMs = 9000));
    other.process.arrive(() => other.waiting.shift(), 5000);
    expect(other.until(20_000)).toEqual(['9000 idle']);
  });

  test('stops the clock when nothing waits any more, until something waits again', () => {
    const it = new Scene();
    it.begin();
    it.watch();
    it.at(90, () => it.waiting.shift());
    expect(it.until(5000)).toEqual(['200 idle']);
    expect(it.process.pending).toBe(0);
    it.begin();
    it.watch();
    expect(it.until(10_000)).toEqual(['200 idle', '5800 overdue']);
  });
});
