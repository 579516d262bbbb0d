import { BehaviorSubject, filter, take, type Observable } from 'rxjs';
import type { Reading } from '../operators/heartbeat.js';

/**
 * How much a connection may bring in: its publish window, as streams.
 *
 * What waits to be handled and what is published but unconfirmed share one window (spec: `PUBLISH_WINDOW`), so that whichever
 * stalls, Redis or the welcome, the client is held back and nothing queues without bound. Each stream is made when first asked
 * for: who says nothing needs none.
 */
export class Intake implements Reading {
  #open$: BehaviorSubject<boolean> | undefined;
  #paused$: BehaviorSubject<boolean> | undefined;
  #settling$: BehaviorSubject<boolean> | undefined;
  #welcoming$: BehaviorSubject<boolean> | undefined;
  readonly #window: number;
  readonly #now: () => number;
  #welcomed = false;
  #draining = false;
  #held = 0;
  #unconfirmed = 0;
  /** When the present pause began; pauses before it took `#pausedMs` in all. */
  #pausedSinceMs: number | undefined;
  #pausedMs = 0;

  constructor(window: number, now: () => number) {
    this.#window = window;
    this.#now = now;
  }

  get welcomed(): boolean {
    return this.#welcomed;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Whether the socket is to be left unread. */
  get isPaused(): boolean {
    return this.#draining || this.#held + this.#unconfirmed >= this.#window;
  }

  get #isOpen(): boolean {
    return this.#welcomed && !this.#draining && this.#unconfirmed < this.#window;
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

  /** Emits once, as soon as no publish is unconfirmed. */
  get settled$(): Observable<boolean> {
    return once((this.#settling$ ??= new BehaviorSubject(this.#unconfirmed === 0)));
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

  /** So many messages wait to be handled. */
  hold(messages: number): void {
    this.#held = messages;
    this.#update();
  }

  published(): void {
    this.#unconfirmed += 1;
    this.#update();
  }

  confirmed(): void {
    this.#unconfirmed -= 1;
    this.#update();
  }

  #update(): void {
    this.#clock(this.isPaused);
    tell(this.#paused$, this.isPaused);
    tell(this.#open$, this.#isOpen);
    tell(this.#settling$, this.#unconfirmed === 0);
    tell(this.#welcoming$, this.#welcomed);
  }

  #clock(paused: boolean): void {
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
