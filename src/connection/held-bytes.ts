import { Subject, type Observable } from 'rxjs';

/** A pod that was full reads again when this part of the bound is free. */
const FREE_SHARE = 0.1;

/** The memory of a waiting message beside its text. */
const MESSAGE_OVERHEAD_BYTES = 128;

/** V8 stores a text with one or two bytes for each UTF-16 code unit. */
const MAX_BYTES_PER_UNIT = 2;

/** The most memory that a text takes while it waits, in bytes. */
export function heldBytesOf(text: string): number {
  return text.length * MAX_BYTES_PER_UNIT + MESSAGE_OVERHEAD_BYTES;
}

/**
 * The bytes of all messages that wait in a pod: for a welcome, for a connection's publish window, or for the broker. While it is
 * full, the pod reads no socket and accepts no connection (`MAX_HELD_BYTES`).
 */
export class HeldBytes {
  readonly #maxBytes: number;
  readonly #changed$ = new Subject<void>();
  #bytes = 0;
  #isFull = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  /** Emits when `isFull` has changed: from now on no socket is read, or all are again. */
  get changed$(): Observable<void> {
    return this.#changed$;
  }

  /** @param bytes negative for messages that wait no longer */
  add(bytes: number): void {
    this.#bytes += bytes;
    const isFull = this.#bytes >= this.#maxBytes || (this.#isFull && this.#bytes > this.#maxBytes * (1 - FREE_SHARE));
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    this.#changed$.next();
  }
}
