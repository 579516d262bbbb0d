import { Observable, type OperatorFunction, type Subscriber } from 'rxjs';
import { OperatorSubscriber } from './operator-subscriber.js';

/** The source emitted nothing for the whole timeout. */
export class HeartbeatTimeoutError extends Error {}

/** Options that any number of heartbeats can share. */
export interface HeartbeatOptions<T, P, K extends T = never, L extends T = never> {
  /** A monotonic clock, in milliseconds. */
  readonly now: () => number;
  /** Time from the subscription to the first ping. Random, so that connections made together are not pinged together. */
  readonly firstPingMs: () => number;
  readonly pingIntervalMs: number;
  readonly pongTimeoutMs: number;
  /** The value to emit when a ping is due. */
  readonly ping: P;
  /** Values at which the heartbeat reads its clock; it does nothing between two of them. They are not passed on. */
  readonly isTick: (value: T) => value is K;
  /** Values that only show that the peer is alive. They are not passed on. */
  readonly isSignOfLife: (value: T) => value is L;
}

/** How long the source was not read. Silence during that time is not the peer's fault, so the timeout does not count it. */
export interface Reading {
  /** Total time not read, in milliseconds. */
  readonly pausedMs: number;
  /** Called at each tick, before the timeout is checked, so that reading can resume. */
  look(): void;
}

const ALWAYS_READ: Reading = { pausedMs: 0, look: () => undefined };

/**
 * Passes values on, emits a ping at each interval, and errors with `HeartbeatTimeoutError` at the first tick after `pongTimeoutMs`
 * without a value. Every value except a tick counts. It needs no timer of its own.
 */
export function heartbeat<T, P, K extends T = never, L extends T = never>(
  options: HeartbeatOptions<T, P, K, L>,
  reading = ALWAYS_READ,
): OperatorFunction<T, Exclude<T, K | L> | P> {
  return (source) => new Observable((subscriber) => source.subscribe(new HeartbeatSubscriber(subscriber, options, reading)));
}

class HeartbeatSubscriber<T, P, K extends T, L extends T> extends OperatorSubscriber<T, Exclude<T, K | L> | P> {
  readonly #options: HeartbeatOptions<T, P, K, L>;
  readonly #reading: Reading;
  /** When the last value came, on a clock that stands still while the source is not read. */
  #lastValueMs: number;
  #pingMs: number;

  constructor(output: Subscriber<Exclude<T, K | L> | P>, options: HeartbeatOptions<T, P, K, L>, reading: Reading) {
    super(output);
    this.#options = options;
    this.#reading = reading;
    this.#pingMs = options.now() + options.firstPingMs();
    this.#lastValueMs = this.#readMs();
  }

  protected override take(value: T): void {
    if (this.#options.isTick(value)) {
      this.#tick();
      return;
    }
    this.#lastValueMs = this.#readMs();
    if (!this.#options.isSignOfLife(value)) this.output.next(value as Exclude<T, K | L>);
  }

  #readMs(): number {
    return this.#options.now() - this.#reading.pausedMs;
  }

  #tick(): void {
    this.#reading.look();
    const { now, pingIntervalMs, pongTimeoutMs, ping } = this.#options;
    const nowMs = now();
    if (this.#readMs() - this.#lastValueMs >= pongTimeoutMs) {
      this.output.error(new HeartbeatTimeoutError(`nothing heard for ${pongTimeoutMs} ms`));
    } else if (nowMs >= this.#pingMs) {
      this.#pingMs += Math.ceil((nowMs - this.#pingMs + 1) / pingIntervalMs) * pingIntervalMs;
      this.output.next(ping);
    }
  }
}
