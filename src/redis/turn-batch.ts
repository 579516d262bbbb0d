import type { Observable } from 'rxjs';

/** Gathers what is added in one turn of the event loop and hands it over when the turn ends: one command to Redis for many rooms. */
export class TurnBatch<T> {
  readonly #turnEnd$: Observable<unknown>;
  readonly #use: (values: readonly T[]) => void;
  #values: T[] = [];

  /** @param use called with all of a turn; not called where `clear` left none */
  constructor(turnEnd$: Observable<unknown>, use: (values: readonly T[]) => void) {
    this.#turnEnd$ = turnEnd$;
    this.#use = use;
  }

  add(value: T): void {
    if (this.#values.push(value) > 1) return;
    this.#turnEnd$.subscribe(() => {
      const values = this.#values;
      this.#values = [];
      if (values.length > 0) this.#use(values);
    });
  }

  /** Forgets what was added in this turn. */
  clear(): void {
    this.#values = [];
  }
}
