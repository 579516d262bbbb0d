import { Queue } from './queue.js';

/**
 * The budget of a pod for publishes under way, in bytes as counted by `costOf`. Redis drops a subscriber whose output buffer exceeds
 * 8 MiB for 60 s or 32 MiB at once (`client-output-buffer-limit pubsub`), and every pod in a busy room fills that buffer.
 */
export const POD_BYTES = 2 * 1024 * 1024;

/** Extra budget for small messages of connections that have nothing under way, for when the pod's budget is used up. */
export const RESERVE_BYTES = 512 * 1024;

/** The budget of one connection, in bytes. A single larger publish is allowed. */
export const CONNECTION_BYTES = 128 * 1024;

const SMALL_BYTES = 4096;

/** The channel's name and the framing that Redis writes with each message. */
const MESSAGE_OVERHEAD_BYTES = 128;

/** The bytes that an envelope takes in Redis' output buffer of a subscriber. */
export function costOf(envelope: string): number {
  return Buffer.byteLength(envelope) + MESSAGE_OVERHEAD_BYTES;
}

/** A publish that is under way. */
export interface UnderWay {
  /** Its share of the budget, as counted by `costOf`. */
  readonly bytes: number;
  /** On the monotonic clock, in milliseconds. */
  readonly startedMs: number;
  /** Whether the broker has accepted it. */
  readonly isAccepted: boolean;
  /** Set by `PublishBudget.overdue`. */
  overdueSinceMs: number | undefined;
}

/** A connection whose next publish waits for the budget. */
export interface Waiter {
  /** The cost of the next publish, in bytes. */
  readonly nextCost: number;
  /** Sends the next publish. A connection with more of them then waits again, behind the others. */
  send(): void;
}

/**
 * Bounds the bytes of the publishes that a pod has under way. Connections whose publish does not fit wait in a queue and send one message
 * each in turn (round robin), so that the connection that sends most waits longest.
 */
export class PublishBudget<T extends UnderWay = UnderWay> {
  /** In the order in which they started. */
  readonly #underWay = new Set<T>();
  readonly #waiters = new Queue<Waiter>();
  #bytes = 0;
  #isServing = false;

  /** In bytes. */
  get underWayBytes(): number {
    return this.#bytes;
  }

  /** Whether a publish may start now. @param isFirst whether its connection has nothing else under way */
  admits(cost: number, isFirst: boolean): boolean {
    if (this.#waiters.size === 0 && this.#fits(cost)) return true;
    return isFirst && cost <= SMALL_BYTES && this.#bytes + cost <= POD_BYTES + RESERVE_BYTES;
  }

  wait(waiter: Waiter): void {
    this.#waiters.add(waiter);
  }

  take(trip: T): void {
    this.#underWay.add(trip);
    this.#bytes += trip.bytes;
  }

  give(trip: T): void {
    if (this.#underWay.delete(trip)) this.#bytes -= trip.bytes;
    this.#serve();
  }

  /**
   * The publishes that have not returned although they are older than `timeoutMs` and it is `timeoutMs` since an earlier call found them
   * so and accepted. To be called regularly. A correct broker leaves none.
   */
  overdue(nowMs: number, timeoutMs: number): readonly T[] {
    const overdue: T[] = [];
    for (const trip of this.#underWay) {
      if (nowMs - trip.startedMs < timeoutMs) break;
      if (!trip.isAccepted) continue;
      trip.overdueSinceMs ??= nowMs;
      if (nowMs - trip.overdueSinceMs >= timeoutMs) overdue.push(trip);
    }
    return overdue;
  }

  /** A loop, because a publish that ends synchronously would otherwise serve the next one deeper in the stack. */
  #serve(): void {
    if (this.#isServing) return;
    this.#isServing = true;
    try {
      for (let next = this.#waiters.peek(); next !== undefined && this.#fits(next.nextCost); next = this.#waiters.peek()) {
        this.#waiters.delete(next);
        next.send();
      }
    } finally {
      this.#isServing = false;
    }
  }

  /** A message that is larger than the whole budget is published alone. */
  #fits(cost: number): boolean {
    return this.#bytes === 0 || this.#bytes + cost <= POD_BYTES;
  }
}
