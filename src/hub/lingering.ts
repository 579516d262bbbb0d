import { timer, type SchedulerLike, type Subscription } from 'rxjs';
import { Queue } from './queue.js';
import type { Room } from './room.js';

/** The most rooms that are ended in one turn of the event loop, which takes about a millisecond. */
const ENDED_PER_TURN = 1000;

/** Rooms that nobody uses any more, the one that was left first in front: one timer for all of them. */
export class Lingering {
  readonly #lingerMs: number;
  readonly #scheduler: SchedulerLike;
  readonly #end: (room: Room) => void;
  /** In the order in which they end. */
  readonly #line = new Queue<Room>();
  /** When each is to end. */
  readonly #dueMs = new Map<Room, number>();
  #timer: Subscription | undefined;

  /** @param end called when a room's time is over */
  constructor(lingerMs: number, scheduler: SchedulerLike, end: (room: Room) => void) {
    this.#lingerMs = lingerMs;
    this.#scheduler = scheduler;
    this.#end = end;
  }

  get size(): number {
    return this.#line.size;
  }

  add(room: Room): void {
    this.#line.add(room);
    this.#dueMs.set(room, this.#scheduler.now() + this.#lingerMs);
    this.#timer ??= this.#wait(this.#lingerMs);
  }

  /** It is used again, or has ended. */
  delete(room: Room): void {
    this.#dueMs.delete(room);
    if (this.#line.delete(room) && this.#line.size === 0) this.stop();
  }

  /** Ends some before their time, the longest left first. */
  endOldest(count: number): void {
    for (let left = count; left > 0; left -= 1) {
      const room = this.#line.peek();
      if (room === undefined) return;
      this.delete(room);
      this.#end(room);
    }
  }

  stop(): void {
    this.#timer?.unsubscribe();
    this.#timer = undefined;
  }

  #wait(ms: number): Subscription {
    return timer(ms, this.#scheduler).subscribe(() => {
      this.#timer = undefined;
      this.#endDue();
    });
  }

  #endDue(): void {
    const nowMs = this.#scheduler.now();
    for (let ended = 0, room = this.#line.peek(); room !== undefined; ended += 1, room = this.#line.peek()) {
      const dueMs = this.#dueMs.get(room) ?? nowMs;
      if (dueMs > nowMs || ended === ENDED_PER_TURN) {
        // What ends a room may have left another, for which a timer was begun.
        this.stop();
        this.#timer = this.#wait(Math.max(0, dueMs - nowMs));
        return;
      }
      this.delete(room);
      this.#end(room);
    }
  }
}
