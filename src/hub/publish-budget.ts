import { Line } from './line.js';
import type { RoundTrip } from './round-trip.js';

/**
 * All publishes of a pod that are under way take at most this, counted as `costOf` does. Redis drops a subscriber whose buffer
 * exceeds 8 MiB for 60 s or 32 MiB at once (`client-output-buffer-limit pubsub`), and every pod of a busy room fills it.
 */
export const POD_BYTES = 2 * 1024 * 1024;

/** A connection that has nothing under way may publish a small message within this although the pod's budget is used up. */
export const RESERVE_BYTES = 512 * 1024;

/** The publishes of one connection that are under way take at most this, or are one. */
export const CONNECTION_BYTES = 128 * 1024;

const SMALL_BYTES = 4096;

/** Redis writes the channel's name and some framing with each message. */
const MESSAGE_OVERHEAD_BYTES = 128;

/** What an envelope takes in Redis' buffer for a subscriber, in bytes. */
export function costOf(envelope: string): number {
  return Buffer.byteLength(envelope) + MESSAGE_OVERHEAD_BYTES;
}

/** A connection whose next publish waits for its turn. */
export interface Waiter {
  /** What the next publish costs, in bytes. */
  readonly nextCost: number;
  /** Sends that one. Who has more waits again, behind all others. */
  send(): void;
}

/**
 * What a pod has under way at the broker, in bytes. Connections whose publish does not fit wait in a queue and send one message a
 * turn, so that the connection that sends most waits most.
 */
export class PublishBudget {
  /** In the order in which they began. */
  readonly #underWay = new Set<RoundTrip>();
  readonly #waiters = new Line<Waiter>();
  #bytes = 0;
  #isServing = false;

  /** In bytes. */
  get underWayBytes(): number {
    return this.#bytes;
  }

  /** @param isFirst its connection has nothing else under way */
  admits(cost: number, isFirst: boolean): boolean {
    if (this.#waiters.size === 0 && this.#fits(cost)) return true;
    return isFirst && cost <= SMALL_BYTES && this.#bytes + cost <= POD_BYTES + RESERVE_BYTES;
  }

  wait(waiter: Waiter): void {
    this.#waiters.add(waiter);
  }

  take(trip: RoundTrip): void {
    this.#underWay.add(trip);
    this.#bytes += trip.bytes;
  }

  give(trip: RoundTrip): void {
    if (this.#underWay.delete(trip)) this.#bytes -= trip.bytes;
    this.#serve();
  }

  /**
   * Those that the broker accepted and that were seen here, to be called now and then, for longer than the timeout. A broker that
   * keeps its promises leaves none.
   */
  overdue(nowMs: number, timeoutMs: number): readonly RoundTrip[] {
    const overdue: RoundTrip[] = [];
    for (const trip of this.#underWay) {
      if (nowMs - trip.startedMs < timeoutMs) break;
      if (!trip.isAccepted) continue;
      trip.overdueSinceMs ??= nowMs;
      if (nowMs - trip.overdueSinceMs >= timeoutMs) overdue.push(trip);
    }
    return overdue;
  }

  /** In a loop, since a publish that is over at once would otherwise serve the next deeper in the stack. */
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

  /** A message that is larger than the whole budget goes alone. */
  #fits(cost: number): boolean {
    return this.#bytes === 0 || this.#bytes + cost <= POD_BYTES;
  }
}
