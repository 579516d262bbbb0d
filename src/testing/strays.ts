import { Subscription, type SchedulerAction } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';

/** So many timers of no delay are let run; one that begins itself anew would never end. */
const MAX_AT_ONCE = 1000;

/**
 * Catches timers that were not given the scheduler they should be on: while it runs, RxJS' own schedulers start theirs here,
 * where they never fire. What is to happen at once still does, since that is how RxJS throws an error that nobody handled.
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

  /** What went astray, in words; empty where nothing did. */
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
