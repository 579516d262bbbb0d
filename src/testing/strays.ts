import { Subscription, type SchedulerAction } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';

/** The most timers without delay that are run: one that restarts itself would never end. */
const MAX_AT_ONCE = 1000;

/**
 * Catches timers that do not use the test's scheduler: while it runs, timers of RxJS' own schedulers are recorded and never fire.
 * Timers without delay still run, because RxJS throws unhandled errors in them.
 */
export class Strays extends TestScheduler {
  /** The delays of the timers that were caught, in milliseconds. */
  readonly delaysMs: number[] = [];

  constructor() {
    super(() => undefined);
  }

  override schedule<T>(work: (this: SchedulerAction<T>, state?: T) => void, delay = 0, state?: T): Subscription {
    this.delaysMs.push(delay);
    if (delay > 0 || this.delaysMs.length > MAX_AT_ONCE) return new Subscription();
    return super.schedule(work, delay, state);
  }

  /** Runs a test, without anything real ever being scheduled. */
  guard<T>(test: () => T): T {
    return this.run(test);
  }

  /** The caught timers as text; empty if there are none. */
  settle(): readonly string[] {
    const delays = this.delaysMs.slice();
    try {
      this.flush();
    } catch (error) {
      return [`an error that nobody handled: ${String(error)}`];
    }
    return delays.map(
      (ms) => `a timer of ${ms} ms was started on a scheduler of RxJS' own, where time is real: give it the test's`,
    );
  }
}
