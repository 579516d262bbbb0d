/**
 * A queue of distinct items from which any item can be removed. Every operation takes constant time.
 *
 * It keeps one iterator for the front, because a new one would step over all entries that were removed there before.
 */
export class Queue<T> {
  readonly #items: Set<T>;
  #front: SetIterator<T>;
  /** The first item, if it was peeked and is still queued. */
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

  /** @returns whether the item was queued */
  delete(item: T): boolean {
    if (item === this.#first) this.#first = undefined;
    return this.#items.delete(item);
  }

  /** Returns the first item without removing it. */
  peek(): T | undefined {
    if (this.#items.size === 0) return undefined;
    this.#first ??= this.#next();
    return this.#first;
  }

  /** Removes and returns the first item. */
  take(): T | undefined {
    const first = this.peek();
    if (first !== undefined) this.delete(first);
    return first;
  }

  /** From the first to the last. Slow after many removals, see above. */
  [Symbol.iterator](): Iterator<T> {
    return this.#items.values();
  }

  #next(): T | undefined {
    const next = this.#front.next();
    if (next.done !== true) return next.value;
    // An iterator that has reached the end does not see items that are added later.
    this.#front = this.#items.values();
    const first = this.#front.next();
    return first.done === true ? undefined : first.value;
  }
}
