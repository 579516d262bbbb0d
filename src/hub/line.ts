/**
 * A queue of things, each in it once, from which any can be removed: every operation takes constant time.
 *
 * One iterator is kept for the front, since a fresh one would step over all that was removed there before.
 */
export class Line<T> {
  readonly #items = new Set<T>();
  #front = this.#items.values();

  get size(): number {
    return this.#items.size;
  }

  add(item: T): void {
    this.#items.add(item);
  }

  /** Returns false where it was not in the line. */
  delete(item: T): boolean {
    return this.#items.delete(item);
  }

  /** Removes the first. */
  take(): T | undefined {
    if (this.#items.size === 0) return undefined;
    let next = this.#front.next();
    if (next.done === true) {
      // An iterator that has reached the end stays there, though more was added since.
      this.#front = this.#items.values();
      next = this.#front.next();
    }
    if (next.done === true) return undefined;
    this.#items.delete(next.value);
    return next.value;
  }
}
