import { Observable, type MonoTypeOperatorFunction } from 'rxjs';

/** More waits than the buffer may hold. */
export class BufferOverflowError extends Error {}

/** What a waiting item counts. */
export interface Weight {
  readonly messages: number;
  readonly bytes: number;
}

/** Makes room by dropping the oldest messages instead of giving up. */
export interface DropOldest<T> {
  /** Whether an item may lose messages at all. */
  readonly mayDrop: (item: T) => boolean;
  /** The item without its oldest message, or undefined when nothing of it is left. */
  readonly withoutOldest: (item: T) => T | undefined;
  /** The item that stands where messages were dropped, the first of them given; one until it has gone out, counted against no bound. */
  readonly gap: (dropped: T) => T;
}

export interface BoundedBufferOptions<T> {
  /** Whether the consumer takes more; taken to be true until it says otherwise, and asked again after each item. */
  readonly writable$: Observable<boolean>;
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** What an item counts while it waits; undefined for one that never waits and may overtake. */
  readonly weigh: (item: T) => Weight | undefined;
  /** Absent: an overflow errors with `BufferOverflowError`. */
  readonly dropOldest?: DropOldest<T> | undefined;
  /** Told, at the end, the most messages that ever waited at once. */
  readonly highWater?: ((messages: number) => void) | undefined;
}

interface Slot<T> {
  readonly item: T;
  readonly weight: Weight;
}

const NOTHING: Weight = { messages: 0, bytes: 0 };

/**
 * Passes items on while the consumer takes them and keeps them, in order and within bounds, while it does not.
 *
 * An item that finds the consumer ready goes whole, whatever its weight: only what waits counts. What does not fit overflows:
 * an error, or with `dropOldest` the loss of the oldest droppable messages, marked by one gap, and an error only where dropping
 * cannot make room. A source that completes is followed once all has gone; an error comes through at once.
 */
export function boundedBuffer<T>(options: BoundedBufferOptions<T>): MonoTypeOperatorFunction<T> {
  const { writable$, weigh, highWater } = options;
  return (source) =>
    new Observable((subscriber) => {
      let queue: Queue<T> | undefined;
      let writable = true;
      let completed = false;
      const fail = (error: unknown) => {
        subscriber.error(error);
      };
      const drain = () => {
        while (writable && !subscriber.closed && queue !== undefined) {
          const slot = queue.take();
          if (queue.isEmpty()) queue = undefined;
          if (slot) subscriber.next(slot.item);
        }
        if (completed && queue === undefined) subscriber.complete();
      };
      let most = 0;
      const next = (item: T) => {
        const weight = weigh(item);
        if (weight === undefined || (writable && queue === undefined)) {
          subscriber.next(item);
          return;
        }
        queue ??= new Queue(options);
        queue.add(item, weight);
        most = Math.max(most, queue.messages);
        if (queue.overflows()) fail(new BufferOverflowError(`${queue.messages} messages, ${queue.bytes} bytes wait`));
      };
      const complete = () => {
        completed = true;
        if (queue === undefined) subscriber.complete();
      };
      if (highWater) {
        subscriber.add(() => {
          highWater(most);
        });
      }
      subscriber.add(
        writable$.subscribe({
          next: (value) => {
            writable = value;
            if (value) drain();
          },
          error: fail,
        }),
      );
      subscriber.add(source.subscribe({ next, error: fail, complete }));
    });
}

/** What waits; made only while something does, for most consumers never make anything wait. */
class Queue<T> {
  messages = 0;
  bytes = 0;
  readonly #options: BoundedBufferOptions<T>;
  #slots: Slot<T>[] = [];
  #gap: Slot<T> | undefined;

  constructor(options: BoundedBufferOptions<T>) {
    this.#options = options;
  }

  isEmpty(): boolean {
    return this.#slots.length === 0;
  }

  /** Appends, and drops what the policy allows to stay within the bounds. */
  add(item: T, weight: Weight): void {
    this.#push({ item, weight });
    const { dropOldest } = this.#options;
    if (dropOldest) while (this.overflows() && this.#dropOne(dropOldest));
  }

  overflows(): boolean {
    return this.messages > this.#options.maxMessages || this.bytes > this.#options.maxBytes;
  }

  /** Removes the oldest. */
  take(): Slot<T> | undefined {
    const slot = this.#slots.shift();
    if (slot === undefined) return undefined;
    if (slot === this.#gap) this.#gap = undefined;
    this.#count(slot.weight, -1);
    return slot;
  }

  #push(slot: Slot<T>): void {
    this.#slots.push(slot);
    this.#count(slot.weight, 1);
  }

  #dropOne({ mayDrop, withoutOldest, gap }: DropOldest<T>): boolean {
    const at = this.#slots.findIndex(({ item, weight }) => weight.messages > 0 && mayDrop(item));
    const slot = this.#slots[at];
    if (slot === undefined) return false;
    const rest = withoutOldest(slot.item);
    const weight = rest === undefined ? NOTHING : (this.#options.weigh(rest) ?? NOTHING);
    this.#count(slot.weight, -1);
    this.#count(weight, 1);
    const shrunk: Slot<T>[] = rest === undefined ? [] : [{ item: rest, weight }];
    if (this.#gap === undefined) {
      this.#gap = { item: gap(slot.item), weight: NOTHING };
      shrunk.unshift(this.#gap);
    }
    this.#slots.splice(at, 1, ...shrunk);
    return true;
  }

  #count(weight: Weight, sign: 1 | -1): void {
    this.messages += sign * weight.messages;
    this.bytes += sign * weight.bytes;
  }
}
