/**
 * A queue of things, each in it once, from which any can be removed: every operation takes constant time.
 *
 * One iterator is kept for the front, since a fresh one would step over all that was removed there before.
 */
export class Queue<T> {
  readonly #items: Set<T>;
  #front: SetIterator<T>;
  /** The first, where it was looked at and is still there. */
  #first: T | undefined;

  constructor(items: Iterable<T> = []) {
    this.#items = new Set(items);
    this.#front = this.#items.values();
  }

  get size(): number {
    return this.#items.size;
  }

  add(item: T): void {
    this.#items.add(item);
  }

  /** Returns false where it was not in the line. */
  delete(item: T): boolean {
    if (item === this.#first) this.#first = undefined;
    return this.#items.delete(item);
  }

  /** Returns the first, which stays. */
  peek(): T | undefined {
    if (this.#items.size === 0) return undefined;
    this.#first ??= this.#next();
    return this.#first;
  }

  /** Removes the first. */
  take(): T | undefined {
    const first = this.peek();
    if (first !== undefined) this.delete(first);
    return first;
  }

  /** From the first to the last; to be used seldom, see above. */
  [Symbol.iterator](): Iterator<T> {
    return this.#items.values();
  }

  #next(): T | undefined {
    const next = this.#front.next();
    if (next.done !== true) return next.value;
    // An iterator that has reached the end stays there, though more was added since.
    this.#front = this.#items.values();
    const first = this.#front.next();
    return first.done === true ? undefined : first.value;
  }
}
