import { Observable, type OperatorFunction, type Subscriber } from 'rxjs';
import { Stage, listen } from './stage.js';

/** Nothing was heard for the whole timeout. */
export class HeartbeatTimeoutError extends Error {}

export interface HeartbeatOptions<T, P, L extends T = never> {
  /** When to look at the clock; nothing happens between two ticks. One serves any number of heartbeats. */
  readonly tick$: Observable<unknown>;
  /** The clock, in milliseconds. */
  readonly now: () => number;
  /** From the start to the first ping: chance, so that connections made together are not pinged together. */
  readonly firstPingMs: number;
  readonly pingIntervalMs: number;
  readonly pongTimeoutMs: number;
  /** Tells true while the source is not read, which is no fault of the peer: the clock of the timeout stands still. */
  readonly paused$: Observable<boolean>;
  /** Emitted when a ping is due. */
  readonly ping: P;
  /** Values that say no more than that the peer lives; they go no further. */
  readonly isSignOfLife: (value: T) => value is L;
}

/**
 * Passes values on, asks for a ping at each interval, and errors with `HeartbeatTimeoutError` at the first tick at which no value
 * had come for the timeout.
 *
 * Any value is a sign of life. It keeps a few numbers per subscription and no timer.
 */
export function heartbeat<T, P, L extends T = never>(options: HeartbeatOptions<T, P, L>): OperatorFunction<T, Exclude<T, L> | P> {
  return (source) => new Observable((subscriber) => source.subscribe(new Heartbeat(subscriber, options)));
}

class Heartbeat<T, P, L extends T> extends Stage<T, Exclude<T, L> | P> {
  readonly #options: HeartbeatOptions<T, P, L>;
  #heardMs: number;
  #pingMs: number;
  #pausedMs: number | undefined;

  constructor(output: Subscriber<Exclude<T, L> | P>, options: HeartbeatOptions<T, P, L>) {
    super(output);
    this.#options = options;
    this.#heardMs = options.now();
    this.#pingMs = this.#heardMs + options.firstPingMs;
    listen(this, output, options.tick$, this.#tick);
    listen(this, output, options.paused$, this.#pause);
  }

  protected override take(value: T): void {
    this.#heardMs = this.#pausedMs ?? this.#options.now();
    // What is no sign of life alone is none of L.
    if (!this.#options.isSignOfLife(value)) this.output.next(value as Exclude<T, L>);
  }

  #tick(): void {
    const { now, pingIntervalMs, pongTimeoutMs, ping } = this.#options;
    const nowMs = now();
    const silentMs = (this.#pausedMs ?? nowMs) - this.#heardMs;
    if (silentMs >= pongTimeoutMs) {
      this.output.error(new HeartbeatTimeoutError(`nothing heard for ${pongTimeoutMs} ms`));
    } else if (nowMs >= this.#pingMs) {
      this.#pingMs += Math.ceil((nowMs - this.#pingMs + 1) / pingIntervalMs) * pingIntervalMs;
      this.output.next(ping);
    }
  }

  #pause(paused: boolean): void {
    if (paused) {
      this.#pausedMs ??= this.#options.now();
    } else if (this.#pausedMs !== undefined) {
      this.#heardMs += this.#options.now() - this.#pausedMs;
      this.#pausedMs = undefined;
    }
  }
}
