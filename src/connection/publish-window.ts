import { BehaviorSubject, filter, take, type MonoTypeOperatorFunction, type Observable } from 'rxjs';
import { gate } from '../operators/gate.js';
import type { Reading } from '../operators/heartbeat.js';
import { heldBytesOf, type HeldBytes } from './held-bytes.js';
import type { Text } from './transport.js';

/**
 * The messages of one read that exceed the window wait at the gate. A read is 64 KiB and a client's smallest frame 6 bytes, so a
 * read brings at most 11,000 messages. More than this is a bug of the service.
 */
const MAX_HELD_MESSAGES = 65_536;

/** Holds messages until the connection is welcome and its publish window has room. */
export function held(publishWindow: PublishWindow): MonoTypeOperatorFunction<Text> {
  const next = (bytes: number) => {
    publishWindow.hold(bytes);
  };
  return gate({ open$: publishWindow.open$, capacity: MAX_HELD_MESSAGES, weigh, held: { next } });
}

function weigh({ text }: Text): number {
  return heldBytesOf(text);
}

/**
 * The flow control of one connection, as streams.
 *
 * While a message waits to be handled, the socket is not read. So when Redis or the welcome stalls, TCP holds the client back and
 * nothing queues without bound. Publishes under way and rooms that are not confirmed yet share the window
 * (`PUBLISH_WINDOW`). Each stream is made when it is first asked for: a client that only listens needs none.
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
  /** Of the messages that wait to be handled. */
  #heldBytes = 0;
  #unsettled = 0;
  /** Rooms that were asked for and are not confirmed. No drain waits for them. */
  #joining = 0;
  /** A publish waits until earlier ones have settled. */
  #isQueueing = false;
  /** Start of the present pause; the pauses before it took `#pausedMs` in all. */
  #pausedSinceMs: number | undefined;
  #pausedMs = 0;

  /** @param held the pod's, in which the bytes held here are counted */
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

  /** Whether the socket is not to be read. A pod that is full does not read it either, and sees to that itself. */
  get isPaused(): boolean {
    return this.#draining || this.#heldBytes > 0 || !this.#hasWindow;
  }

  get #isOpen(): boolean {
    return this.#welcomed && !this.#draining && this.#hasWindow;
  }

  get #hasWindow(): boolean {
    return this.#unsettled + this.#joining < this.#window && !this.#isQueueing;
  }

  /** The time during which the socket was not read, in all. */
  get pausedMs(): number {
    return this.#pausedMs + (this.#pausedSinceMs === undefined ? 0 : this.#now() - this.#pausedSinceMs);
  }

  /** Whether messages may be handled: the present answer, then each change. */
  get open$(): Observable<boolean> {
    return (this.#open$ ??= new BehaviorSubject(this.#isOpen));
  }

  /** Whether the socket is not to be read: the present answer, then each change. */
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

  /** The connection is in its rooms: its messages may be handled. */
  welcome(): void {
    this.#welcomed = true;
    this.#update();
  }

  /** The pod is stopping: nothing more is read or handled. */
  drain(): void {
    this.#draining = true;
    this.#update();
  }

  /** Checks whether the pod is full, since the heartbeat's clock stands still meanwhile. */
  look(): void {
    this.#clock();
  }

  /** @param bytes of all messages that wait at the gate, as `heldBytesOf` counts them */
  hold(bytes: number): void {
    const more = bytes - this.#heldBytes;
    // Set first: `add` may make the pod full or free, which can lead back here.
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

  /** Whether a publish waits until earlier ones have settled. */
  queue(isQueueing: boolean): void {
    if (isQueueing === this.#isQueueing) return;
    this.#isQueueing = isQueueing;
    this.#update();
  }

  #update(): void {
    this.#clock();
    update(this.#paused$, this.isPaused);
    update(this.#open$, this.#isOpen);
    update(this.#settling$, this.#unsettled === 0);
    update(this.#welcoming$, this.#welcomed);
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

function update(state$: BehaviorSubject<boolean> | undefined, value: boolean): void {
  if (state$ !== undefined && state$.value !== value) state$.next(value);
}
