import { Observable, type OperatorFunction, type Subscriber } from 'rxjs';
import { OperatorSubscriber } from './operator-subscriber.js';

/** Nothing was heard for the whole timeout. */
export class HeartbeatTimeoutError extends Error {}

/** What any number of heartbeats share. */
export interface HeartbeatOptions<T, P, K extends T = never, L extends T = never> {
  /** The clock, in milliseconds. */
  readonly now: () => number;
  /** From the start to the first ping: chance, so that connections made together are not pinged together. */
  readonly firstPingMs: () => number;
  readonly pingIntervalMs: number;
  readonly pongTimeoutMs: number;
  /** Emitted when a ping is due. */
  readonly ping: P;
  /** Values that tell the heartbeat to look at its clock; nothing happens between two of them, and they go no further. */
  readonly isTick: (value: T) => value is K;
  /** Values that say no more than that the peer lives; they go no further either. */
  readonly isSignOfLife: (value: T) => value is L;
}

/** A source that is left unread at times, which is no fault of the peer: the clock of the timeout stands still meanwhile. */
export interface Reading {
  /** For how long, in all. */
  readonly pausedMs: number;
  /** Called at each tick: whether it is read may depend on others. */
  look(): void;
}

const ALWAYS_READ: Reading = { pausedMs: 0, look: () => undefined };

/**
 * Passes values on, asks for a ping at each interval, and errors with `HeartbeatTimeoutError` at the first tick at which no value
 * had come for the timeout.
 *
 * Any value but a tick is a sign of life. It keeps a few numbers per subscription and no timer.
 */
export function heartbeat<T, P, K extends T = never, L extends T = never>(
  options: HeartbeatOptions<T, P, K, L>,
  reading = ALWAYS_READ,
): OperatorFunction<T, Exclude<T, K | L> | P> {
  return (source) => new Observable((subscriber) => source.subscribe(new Heartbeat(subscriber, options, reading)));
}

class Heartbeat<T, P, K extends T, L extends T> extends OperatorSubscriber<T, Exclude<T, K | L> | P> {
  readonly #options: HeartbeatOptions<T, P, K, L>;
  readonly #reading: Reading;
  /** On the clock of the timeout. */
  #heardMs: number;
  #pingMs: number;

  constructor(output: Subscriber<Exclude<T, K | L> | P>, options: HeartbeatOptions<T, P, K, L>, reading: Reading) {
    super(output);
    this.#options = options;
    this.#reading = reading;
    this.#pingMs = options.now() + options.firstPingMs();
    this.#heardMs = this.#readMs();
  }

  protected override take(value: T): void {
    if (this.#options.isTick(value)) {
      this.#tick();
      return;
    }
    this.#heardMs = this.#readMs();
    // What is no sign of life alone is none of L.
    if (!this.#options.isSignOfLife(value)) this.output.next(value as Exclude<T, K | L>);
  }

  #readMs(): number {
    return this.#options.now() - this.#reading.pausedMs;
  }

  #tick(): void {
    this.#reading.look();
    const { now, pingIntervalMs, pongTimeoutMs, ping } = this.#options;
    const nowMs = now();
    if (this.#readMs() - this.#heardMs >= pongTimeoutMs) {
      this.output.error(new HeartbeatTimeoutError(`nothing heard for ${pongTimeoutMs} ms`));
    } else if (nowMs >= this.#pingMs) {
      this.#pingMs += Math.ceil((nowMs - this.#pingMs + 1) / pingIntervalMs) * pingIntervalMs;
      this.output.next(ping);
    }
  }
}
