import { Subscription, type SchedulerAction, type SchedulerLike } from 'rxjs';

/** What one process does in virtual time: what it scheduled dies with it, and waits while it is stalled. */
export class Timeline implements SchedulerLike {
  /** Nothing of it happens before this, in milliseconds since the epoch. */
  stalledUntilMs = -Infinity;
  isDead = false;
  /** What it has scheduled and not unsubscribed from. */
  pending = 0;
  readonly #scheduler: VirtualScheduler;

  constructor(scheduler: VirtualScheduler) {
    this.#scheduler = scheduler;
  }

  now(): number {
    return this.#scheduler.now();
  }

  schedule<T>(work: (this: SchedulerAction<T>, state?: T) => void, delay = 0, state?: T): Subscription {
    return new VirtualAction(this.#scheduler, this, work, TIMERS_FIRST).schedule(state, delay);
  }

  /** Something comes to the process from outside. */
  arrive(work: () => void, delayMs: number): Subscription {
    return new VirtualAction(this.#scheduler, this, work, 0).schedule(undefined, delayMs);
  }
}

/**
 * Virtual time in a heap: what is scheduled happens in the order of its time, and where that is the same, of its scheduling.
 *
 * RxJS's own `VirtualTimeScheduler` sorts its whole queue at each step and keeps what was unsubscribed from.
 */
export class VirtualScheduler {
  readonly #heap: Due[] = [];
  #nowMs: number;
  #count = 0;

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  /** Enters what is due at a time. */
  enter(atMs: number, action: Actable): Due {
    const due = { atMs: Math.max(atMs, this.#nowMs), rank: 0, dueMs: atMs, order: this.#count++, action };
    this.#up(due);
    return due;
  }

  /** Enters it again for a later time, among others that are late too; the rank goes before the order in which they were due. */
  delay(late: Due, atMs: number, rank: number): Due {
    const due = { ...late, atMs, rank };
    this.#up(due);
    return due;
  }

  /** Carries out what is next, and takes its time; false where nothing is due up to a time. */
  step(untilMs: number): boolean {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= untilMs; next = this.#heap[0]) {
      this.#removeFirst();
      this.#nowMs = next.atMs;
      if (next.action.act(next)) return true;
    }
    return false;
  }

  /** Lets time pass in which nothing happens. */
  pass(untilMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #up(due: Due): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt];
      if (parent === undefined || isBefore(parent, due)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = due;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let childAt = 2 * at + 1;
      let child = heap[childAt];
      if (child === undefined) break;
      const other = heap[childAt + 1];
      if (other !== undefined && isBefore(other, child)) {
        child = other;
        childAt += 1;
      }
      if (isBefore(last, child)) break;
      heap[at] = child;
      at = childAt;
    }
    heap[at] = last;
  }
}

/** Something that is due. */
export interface Due {
  readonly atMs: number;
  readonly rank: number;
  /** When it should have been. */
  readonly dueMs: number;
  readonly order: number;
  readonly action: Actable;
}

interface Actable {
  /** False where it came to nothing. */
  act(due: Due): boolean;
}

function isBefore(a: Due, b: Due): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs;
  if (a.rank !== b.rank) return a.rank < b.rank;
  return a.dueMs !== b.dueMs ? a.dueMs < b.dueMs : a.order < b.order;
}

/** A process that was stalled looks at its timers before it reads its sockets, as Node does. */
const TIMERS_FIRST = -1;

class VirtualAction<T> extends Subscription implements SchedulerAction<T>, Actable {
  readonly #scheduler: VirtualScheduler;
  readonly #timeline: Timeline;
  readonly #work: (this: SchedulerAction<T>, state?: T) => void;
  readonly #lateRank: number;
  #state: T | undefined;
  #due: Due | undefined;

  constructor(
    scheduler: VirtualScheduler,
    timeline: Timeline,
    work: (this: SchedulerAction<T>, state?: T) => void,
    lateRank: number,
  ) {
    super();
    this.#lateRank = lateRank;
    this.#scheduler = scheduler;
    this.#timeline = timeline;
    this.#work = work;
  }

  schedule(state?: T, delay = 0): this {
    if (this.closed) return this;
    if (this.#due === undefined) this.#timeline.pending += 1;
    this.#state = state;
    this.#due = this.#scheduler.enter(this.#scheduler.now() + Math.ceil(Math.max(delay, 0)), this);
    return this;
  }

  act(due: Due): boolean {
    if (due !== this.#due || this.#timeline.isDead) return false;
    const { stalledUntilMs } = this.#timeline;
    if (stalledUntilMs > due.atMs) {
      this.#due = this.#scheduler.delay(due, stalledUntilMs, this.#lateRank);
      return false;
    }
    this.#forget();
    this.#work(this.#state);
    // Like RxJS's own: what did not ask to be repeated is over.
    if (!this.#isDue()) this.unsubscribe();
    return true;
  }

  override unsubscribe(): void {
    if (this.closed) return;
    this.#forget();
    super.unsubscribe();
  }

  #isDue(): boolean {
    return this.#due !== undefined;
  }

  #forget(): void {
    if (!this.#isDue()) return;
    this.#due = undefined;
    this.#timeline.pending -= 1;
  }
}
