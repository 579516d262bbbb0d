import { timer, type SchedulerLike, type Subscription } from 'rxjs';
import { Queue } from './queue.js';
import type { Room } from './room.js';

/** The most rooms that are ended in one turn of the event loop, which takes about a millisecond. */
const ENDED_PER_TURN = 1000;

/** Rooms without members whose subscriptions are kept for a while, in the order in which they were left. One timer serves them all. */
export class Lingering {
  readonly #lingerMs: number;
  readonly #scheduler: SchedulerLike;
  readonly #end: (room: Room) => void;
  readonly #queue = new Queue<Room>();
  readonly #dueMs = new Map<Room, number>();
  #timer: Subscription | undefined;

  /** @param end ends a room's subscription; called when its time is over */
  constructor(lingerMs: number, scheduler: SchedulerLike, end: (room: Room) => void) {
    this.#lingerMs = lingerMs;
    this.#scheduler = scheduler;
    this.#end = end;
  }

  get size(): number {
    return this.#queue.size;
  }

  add(room: Room): void {
    this.#queue.add(room);
    this.#dueMs.set(room, this.#scheduler.now() + this.#lingerMs);
    this.#timer ??= this.#wait(this.#lingerMs);
  }

  /** The room is used again, or has ended. */
  delete(room: Room): void {
    this.#dueMs.delete(room);
    if (this.#queue.delete(room) && this.#queue.size === 0) this.stop();
  }

  /** Ends the rooms that were left first, before their time. */
  endOldest(count: number): void {
    for (let left = count; left > 0; left -= 1) {
      const room = this.#queue.peek();
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
    for (let ended = 0, room = this.#queue.peek(); room !== undefined; ended += 1, room = this.#queue.peek()) {
      const dueMs = this.#dueMs.get(room) ?? nowMs;
      if (dueMs > nowMs || ended === ENDED_PER_TURN) {
        // Ending a room may have added another, which started a timer.
        this.stop();
        this.#timer = this.#wait(Math.max(0, dueMs - nowMs));
        return;
      }
      this.delete(room);
      this.#end(room);
    }
  }
}
