import { Observable, type MonoTypeOperatorFunction, type Subscriber, type Subscription } from 'rxjs';
import { OperatorSubscriber, listen } from './operator-subscriber.js';

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
  /**
   * The item that stands where messages were dropped; one until it has gone out, counted against no bound. Asked for with each drop:
   * `present` is the one that stands there already, which may do.
   */
  readonly gap: (dropped: T, present: T | undefined) => T;
}

/** Who takes what the buffer passes on: a socket. */
export interface Consumer {
  /** Whether it takes more now; asked before each item. */
  readonly isWritable: boolean;
  /** Emits whenever it takes more again. Subscribed to only while something waits for it. */
  readonly writable$: Observable<unknown>;
}

/** What any number of buffers share. */
export interface BoundedBufferOptions<T> {
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
  item: T;
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
export function boundedBuffer<T>(consumer: Consumer, options: BoundedBufferOptions<T>): MonoTypeOperatorFunction<T> {
  return (source) => new Observable((subscriber) => source.subscribe(new Buffering(subscriber, consumer, options)));
}

class Buffering<T> extends OperatorSubscriber<T, T> {
  readonly #consumer: Consumer;
  readonly #options: BoundedBufferOptions<T>;
  /** Made while something waits; most consumers never make anything wait. */
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

  /** Goes on until what waits has gone. */
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
    // A consumer may say that it takes more while it is handed an item: what waits goes after that item, not within it.
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

/** What waits. */
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
