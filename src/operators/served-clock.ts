import { Observable, defer, finalize, last, map, repeat, switchMap, take, takeWhile, tap, timer } from 'rxjs';
import { PARTS, type Time } from './within.js';

/**
 * A clock for deadlines that counts only the time in which the process was running, as `served$` does: a stall, however long, advances
 * it by at most a quarter of the longest wait. It runs only while `reached$` is subscribed to.
 */
export class ServedClock {
  readonly #time: Time;
  readonly #partMs: number;
  #servedMs = 0;
  /** When it was last read; undefined while it does not run. */
  #readMs: number | undefined;

  /** @param waitMs the longest wait, in milliseconds */
  constructor(waitMs: number, time: Time) {
    this.#time = time;
    this.#partMs = waitMs / PARTS;
  }

  /** The clock's reading, in milliseconds. @param nowMs the scheduler's time */
  at(nowMs: number): number {
    return this.#readMs === undefined ? this.#servedMs : this.#servedMs + Math.min(nowMs - this.#readMs, this.#partMs);
  }

  /**
   * Cold, for one subscriber at a time: emits once when the clock has reached `due()` and the input that arrived before has been read.
   * `due` is called repeatedly and may return a later time; if it returns undefined, nothing waits any more and undefined is emitted.
   */
  reached$(due: () => number | undefined): Observable<number | undefined> {
    const { scheduler, turnEnd$ } = this.#time;
    const step$ = defer(() =>
      timer(Math.min(this.#partMs, Math.max(0, (due() ?? 0) - this.#servedMs)), scheduler).pipe(
        tap(() => {
          this.#read();
        }),
        switchMap(() => turnEnd$),
        take(1),
        map(due),
      ),
    );
    return defer(() => {
      this.#readMs = scheduler.now();
      return step$.pipe(
        repeat(),
        takeWhile((dueMs) => dueMs !== undefined && dueMs > this.#servedMs, true),
        last(),
        finalize(() => {
          this.#read();
          this.#readMs = undefined;
        }),
      );
    });
  }

  #read(): void {
    const nowMs = this.#time.scheduler.now();
    this.#servedMs = this.at(nowMs);
    this.#readMs = nowMs;
  }
}
