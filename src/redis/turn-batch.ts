import type { Observable } from 'rxjs';

/** Collects values until the turn of the event loop ends: one Redis command for many rooms. */
export class TurnBatch<T> {
  readonly #turnEnd$: Observable<unknown>;
  readonly #flush: (values: readonly T[]) => void;
  #values: T[] = [];

  /** @param flush called with the values of a turn, if there are any */
  constructor(turnEnd$: Observable<unknown>, flush: (values: readonly T[]) => void) {
    this.#turnEnd$ = turnEnd$;
    this.#flush = flush;
  }

  add(value: T): void {
    if (this.#values.push(value) > 1) return;
    this.#turnEnd$.subscribe(() => {
      const values = this.#values;
      this.#values = [];
      if (values.length > 0) this.#flush(values);
    });
  }

  /** Drops the values of this turn. */
  clear(): void {
    this.#values = [];
  }
}
