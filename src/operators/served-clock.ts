import { Observable, defer, finalize, last, map, repeat, switchMap, take, takeWhile, tap, timer } from 'rxjs';
import { PARTS, type Time } from './within.js';

/**
 * A clock for deadlines: it counts the time in which the process served, as `served$` does. A stall of the process, however long,
 * moves it by a part of the longest wait. It runs only while somebody waits for it.
 */
export class ServedClock {
  readonly #time: Time;
  readonly #partMs: number;
  #servedMs = 0;
  /** When it was read last; undefined while it does not run. */
  #readMs: number | undefined;

  /** @param waitMs the longest wait */
  constructor(waitMs: number, time: Time) {
    this.#time = time;
    this.#partMs = waitMs / PARTS;
  }

  /** The clock's reading at the present, which is given by the scheduler's time. */
  at(nowMs: number): number {
    return this.#readMs === undefined ? this.#servedMs : this.#servedMs + Math.min(nowMs - this.#readMs, this.#partMs);
  }

  /**
   * Cold, for one subscriber: emits once when the clock shows what `due` says, and what came in until then has been read. `due` is
   * asked again and again and may put it off; where it says undefined, nobody waits any more, and undefined is emitted.
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
