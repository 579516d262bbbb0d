import { BehaviorSubject, filter, take, type Observable } from 'rxjs';
import type { Reading } from '../operators/heartbeat.js';
import type { HeldBytes } from './held-bytes.js';

/**
 * How much a connection may bring in: its publish window, as streams.
 *
 * A message that cannot be handled at once waits, and the socket is left unread until none does: whichever stalls, Redis or the
 * welcome, TCP holds the client back and nothing queues without bound. Publishes under way, and rooms that are not confirmed yet,
 * share one window (spec: `PUBLISH_WINDOW`). Each stream is made when it is first asked for: a client that says nothing needs none.
 */
export class PublishWindow implements Reading {
  #open$: BehaviorSubject<boolean> | undefined;
  #paused$: BehaviorSubject<boolean> | undefined;
  #settling$: BehaviorSubject<boolean> | undefined;
  #welcoming$: BehaviorSubject<boolean> | undefined;
  readonly #window: number;
  readonly #now: () => number;
  readonly #held: HeldBytes;
  #welcomed = false;
  #draining = false;
  /** What waits to be handled, in bytes. */
  #heldBytes = 0;
  /** Publishes that have not settled. */
  #unsettled = 0;
  /** Rooms that were asked for and are not confirmed. They take their places in the window, but no drain waits for them. */
  #joining = 0;
  /** A publish waits until earlier ones are over. */
  #isQueueing = false;
  /** When the present pause began; pauses before it took `#pausedMs` in all. */
  #pausedSinceMs: number | undefined;
  #pausedMs = 0;

  /** @param held the pod's: what waits here is a part of it */
  constructor(window: number, now: () => number, held: HeldBytes) {
    this.#window = window;
    this.#now = now;
    this.#held = held;
  }

  get welcomed(): boolean {
    return this.#welcomed;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Whether the socket is to be left unread. A pod that is full leaves it unread as well, and sees to that itself. */
  get isPaused(): boolean {
    return this.#draining || this.#heldBytes > 0 || !this.#hasWindow;
  }

  get #isOpen(): boolean {
    return this.#welcomed && !this.#draining && this.#hasWindow;
  }

  get #hasWindow(): boolean {
    return this.#unsettled + this.#joining < this.#window && !this.#isQueueing;
  }

  /** For how long the socket has been left unread, in all. */
  get pausedMs(): number {
    return this.#pausedMs + (this.#pausedSinceMs === undefined ? 0 : this.#now() - this.#pausedSinceMs);
  }

  /** Whether messages may be handled: the present answer, then each change. */
  get open$(): Observable<boolean> {
    return (this.#open$ ??= new BehaviorSubject(this.#isOpen));
  }

  /** Whether the socket is to be left unread: the present answer, then each change. */
  get paused$(): Observable<boolean> {
    return (this.#paused$ ??= new BehaviorSubject(this.isPaused));
  }

  /** Emits once, as soon as every publish has settled. */
  get settled$(): Observable<boolean> {
    return once((this.#settling$ ??= new BehaviorSubject(this.#unsettled === 0)));
  }

  /** Emits once, as soon as the connection is welcome. */
  get welcomed$(): Observable<boolean> {
    return once((this.#welcoming$ ??= new BehaviorSubject(this.#welcomed)));
  }

  /** The connection is in its rooms: what it said may be handled. */
  welcome(): void {
    this.#welcomed = true;
    this.#update();
  }

  /** The pod goes away: nothing more is read or handled. */
  drain(): void {
    this.#draining = true;
    this.#update();
  }

  /** Time to look whether the pod is full, for the clock that stands still meanwhile. */
  look(): void {
    this.#clock();
  }

  /** @param bytes of all messages that wait to be handled, as `heldBytesOf` counts them */
  hold(bytes: number): void {
    const more = bytes - this.#heldBytes;
    // First: the pod may get full or free by it, which can lead back here.
    this.#heldBytes = bytes;
    this.#held.add(more);
    this.#update();
  }

  /** The number of rooms that were asked for and are not confirmed. */
  joining(rooms: number): void {
    this.#joining = rooms;
    this.#update();
  }

  /** A publish is under way. */
  begun(): void {
    this.#unsettled += 1;
    this.#update();
  }

  settled(): void {
    this.#unsettled -= 1;
    this.#update();
  }

  /** Whether a publish waits until earlier ones are over. */
  queue(isQueueing: boolean): void {
    if (isQueueing === this.#isQueueing) return;
    this.#isQueueing = isQueueing;
    this.#update();
  }

  #update(): void {
    this.#clock();
    tell(this.#paused$, this.isPaused);
    tell(this.#open$, this.#isOpen);
    tell(this.#settling$, this.#unsettled === 0);
    tell(this.#welcoming$, this.#welcomed);
  }

  #clock(): void {
    const paused = this.isPaused || this.#held.isFull;
    if (paused === (this.#pausedSinceMs !== undefined)) return;
    this.#pausedMs = this.pausedMs;
    this.#pausedSinceMs = paused ? this.#now() : undefined;
  }
}

function once(state$: BehaviorSubject<boolean>): Observable<boolean> {
  return state$.pipe(filter(Boolean), take(1));
}

function tell(state$: BehaviorSubject<boolean> | undefined, value: boolean): void {
  if (state$ !== undefined && state$.value !== value) state$.next(value);
}
