import { Observable, type MonoTypeOperatorFunction, type Subscriber, type Subscription } from 'rxjs';
import { OperatorSubscriber, listen } from './operator-subscriber.js';

/** The buffer's bounds were exceeded, and nothing could be dropped. */
export class BufferOverflowError extends Error {}

/** How much of the bounds a waiting item takes. */
export interface Weight {
  readonly messages: number;
  readonly bytes: number;
}

/** On overflow, drops the oldest messages instead of erroring. */
export interface DropOldest<T> {
  /** Whether messages of this item may be dropped. */
  readonly mayDrop: (item: T) => boolean;
  /** The item without its oldest message; undefined if that was its last. */
  readonly withoutOldest: (item: T) => T | undefined;
  /**
   * The item that marks where messages were dropped. At most one waits at a time, and it counts against no bound. Called for each drop;
   * `present` is the mark that already waits, and may be returned again.
   */
  readonly gap: (dropped: T, present: T | undefined) => T;
}

/** The receiver of the buffer's output, such as a socket. */
export interface Consumer {
  /** Whether it accepts an item now. Read before each item. */
  readonly isWritable: boolean;
  /** Emits when it accepts items again. Subscribed to only while items wait. */
  readonly writable$: Observable<unknown>;
}

/** Options that any number of buffers can share. */
export interface BoundedBufferOptions<T> {
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** The weight of a waiting item; undefined for an item that never waits and may overtake others. */
  readonly weigh: (item: T) => Weight | undefined;
  /** If absent, an overflow errors with `BufferOverflowError`. */
  readonly dropOldest?: DropOldest<T> | undefined;
  /** Called at the end with the most messages that ever waited at once. */
  readonly highWater?: ((messages: number) => void) | undefined;
}

interface Slot<T> {
  item: T;
  readonly weight: Weight;
}

const NOTHING: Weight = { messages: 0, bytes: 0 };

/**
 * Passes items on while the consumer is writable, and otherwise keeps them in order, within bounds.
 *
 * Only waiting items count against the bounds: an item of any weight passes if the consumer is writable. On overflow the output errors
 * with `BufferOverflowError`. With `dropOldest` the oldest droppable messages are replaced by one gap instead, and the output errors
 * only if that does not make enough room. The output completes once the source has completed and nothing waits; an error of the source
 * passes at once.
 */
export function boundedBuffer<T>(consumer: Consumer, options: BoundedBufferOptions<T>): MonoTypeOperatorFunction<T> {
  return (source) => new Observable((subscriber) => source.subscribe(new BoundedBufferSubscriber(subscriber, consumer, options)));
}

class BoundedBufferSubscriber<T> extends OperatorSubscriber<T, T> {
  readonly #consumer: Consumer;
  readonly #options: BoundedBufferOptions<T>;
  /** Undefined while nothing waits, which for most consumers is always. */
  #queue: Queue<T> | undefined;
  #writable: Subscription | undefined;
  #completed = false;
  #draining = false;
  #most = 0;

  constructor(output: Subscriber<T>, consumer: Consumer, options: BoundedBufferOptions<T>) {
    super(output);
    this.#consumer = consumer;
    this.#options = options;
  }

  override unsubscribe(): void {
    if (this.closed) return;
    try {
      super.unsubscribe();
    } finally {
      this.#options.highWater?.(this.#most);
    }
  }

  protected override take(item: T): void {
    const passes = this.#queue === undefined && !this.#draining && this.#consumer.isWritable;
    const weight = passes ? undefined : this.#options.weigh(item);
    if (weight === undefined) this.output.next(item);
    else this.#keep(item, weight);
  }

  /** Unsubscribes from the source, but keeps draining what waits. */
  protected override _complete(): void {
    this.#completed = true;
    if (this.#queue === undefined) {
      this.output.complete();
    } else {
      this.output.add(() => this.#options.highWater?.(this.#most));
      super.unsubscribe();
    }
  }

  #keep(item: T, weight: Weight): void {
    const queue = (this.#queue ??= new Queue(this.#options));
    queue.add(item, weight);
    this.#most = Math.max(this.#most, queue.messages);
    if (queue.overflows()) this.output.error(new BufferOverflowError(`${queue.messages} messages, ${queue.bytes} bytes wait`));
    else this.#writable ??= listen(this, this.output, this.#consumer.writable$, this.#drain);
  }

  #drain(): void {
    // The consumer may become writable again while it is given an item. The loop below then continues after that item.
    if (this.#draining) return;
    this.#draining = true;
    while (this.#consumer.isWritable && !this.output.closed && this.#queue !== undefined) {
      const slot = this.#queue.take();
      if (this.#queue.isEmpty()) this.#queue = undefined;
      if (slot) this.output.next(slot.item);
    }
    this.#draining = false;
    if (this.#queue === undefined) this.#emptied();
  }

  #emptied(): void {
    this.#writable?.unsubscribe();
    this.#writable = undefined;
    if (this.#completed) this.output.complete();
  }
}

/** The waiting items. */
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

  /** Appends an item, then drops what `dropOldest` allows until the bounds are kept. */
  add(item: T, weight: Weight): void {
    this.#push({ item, weight });
    const { dropOldest } = this.#options;
    if (dropOldest) while (this.overflows() && this.#dropOne(dropOldest));
  }

  overflows(): boolean {
    return this.messages > this.#options.maxMessages || this.bytes > this.#options.maxBytes;
  }

  /** Removes and returns the oldest item. */
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
    const standing = this.#gap;
    const marked = gap(slot.item, standing?.item);
    if (standing) standing.item = marked;
    else shrunk.unshift((this.#gap = { item: marked, weight: NOTHING }));
    this.#slots.splice(at, 1, ...shrunk);
    return true;
  }

  #count(weight: Weight, sign: 1 | -1): void {
    this.messages += sign * weight.messages;
    this.bytes += sign * weight.bytes;
  }
}
