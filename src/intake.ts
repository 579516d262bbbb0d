import { BehaviorSubject, filter, take, type Observable } from 'rxjs';

/**
 * How much a connection may bring in: its publish window, as streams.
 *
 * What waits to be handled and what is published but unconfirmed share one window (spec: `PUBLISH_WINDOW`), so that whichever
 * stalls, Redis or the welcome, the client is held back and nothing queues without bound.
 */
export class Intake {
  /** Whether messages may be handled. */
  readonly open$ = new BehaviorSubject(false);
  /** Whether the socket is to be left unread. */
  readonly paused$ = new BehaviorSubject(false);
  /** Made when first asked for, which only a drain does. */
  #settling$: BehaviorSubject<boolean> | undefined;
  readonly #window: number;
  #welcomed = false;
  #draining = false;
  #held = 0;
  #unconfirmed = 0;

  constructor(window: number) {
    this.#window = window;
  }

  get welcomed(): boolean {
    return this.#welcomed;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Emits once, as soon as no publish is unconfirmed. */
  get settled$(): Observable<boolean> {
    this.#settling$ ??= new BehaviorSubject(this.#unconfirmed === 0);
    return this.#settling$.pipe(filter(Boolean), take(1));
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
    const underWay = this.#held + this.#unconfirmed;
    set(this.paused$, this.#draining || underWay >= this.#window);
    set(this.open$, this.#welcomed && !this.#draining && this.#unconfirmed < this.#window);
    if (this.#settling$) set(this.#settling$, this.#unconfirmed === 0);
  }
}

function set(state$: BehaviorSubject<boolean>, value: boolean): void {
  if (state$.value !== value) state$.next(value);
}
