import { closeSync, openSync, readFileSync } from 'node:fs';
import { devNull } from 'node:os';

/** The number of descriptors that are left to what is no client: Redis, the keys of tokens, handlers, and requests for the state of the pod. */
const RESERVED = 64;

/** The number of them that the pod itself holds open, to be given back when all others are used up: else nobody could ask what is wrong. */
const SPARE = 8;

/** Of connections that come, each of so many is asked whether descriptors get scarce. */
const LOOK_EVERY = 16;

/** When they were scarce, so many must be free beyond the reserve until they are not: else the pod would be ready, and not, by turns. */
const ENOUGH = 16;

/** Clients that are no WebSockets may be so many, where descriptors allow it; see `HalfOpen`. */
const MAX_HALF_OPEN = 12_288;

/** They may take so much of what is not reserved, where that is less. */
const HALF_OPEN_SHARE = 0.75;

/** Those that there may be at least while descriptors are scarce: who has one may ask why. */
const HALF_OPEN_WHILE_SCARCE = 32;

/** The same when there are none but the spare ones. */
const HALF_OPEN_WHILE_EXHAUSTED = SPARE / 2;

/**
 * The file descriptors of the process, which it may have only so many of (`ulimit -n`), and each connection takes one. Where they are used up, the kernel
 * accepts no connection more and nobody is told why; so the pod takes no more clients before.
 */
export class Descriptors {
  /** Undefined where the system does not say. */
  readonly limit: number | undefined;
  #state: 'plenty' | 'scarce' | 'exhausted' = 'plenty';
  #sinceLook = 0;
  readonly #spare: number[] = [];
  readonly #halfOpen: { readonly size: number }[] = [];

  /** @param limit given in tests */
  constructor(limit = processLimit()) {
    this.limit = limit;
  }

  /** Whether a client would take one that is reserved. */
  get areScarce(): boolean {
    return this.#state !== 'plenty';
  }

  /** Whether there is none for another WebSocket, nor anybody who has to make room for it. */
  get areUsedUp(): boolean {
    return this.areScarce && this.#halfOpen.every(({ size }) => size <= this.mostHalfOpen);
  }

  /** Clients that are no WebSockets, of whom some make room while descriptors are scarce. */
  reclaimFrom(halfOpen: { readonly size: number }): void {
    this.#halfOpen.push(halfOpen);
  }

  /** How many clients that are no WebSockets may be there now. */
  get mostHalfOpen(): number {
    if (this.#state === 'exhausted') return HALF_OPEN_WHILE_EXHAUSTED;
    if (this.#state === 'scarce') return HALF_OPEN_WHILE_SCARCE;
    if (this.limit === undefined) return MAX_HALF_OPEN;
    return Math.min(MAX_HALF_OPEN, Math.max(HALF_OPEN_WHILE_SCARCE, Math.floor((this.limit - RESERVED) * HALF_OPEN_SHARE)));
  }

  /** The limit that this many WebSockets need, with everything else that there may be. */
  static needed(connections: number): number {
    return connections + MAX_HALF_OPEN + RESERVED;
  }

  /** A client has connected. */
  taken(): void {
    this.#sinceLook += 1;
    if (this.areScarce || this.#sinceLook >= LOOK_EVERY) this.look();
  }

  /** Looks whether they are scarce. */
  look(): void {
    this.#sinceLook = 0;
    try {
      // POSIX gives the lowest numbers that are free: one within the reserve says that all others are taken.
      const highest = numberOf(this.areScarce ? ENOUGH : 1);
      this.#state = this.limit !== undefined && highest >= this.limit - RESERVED ? 'scarce' : 'plenty';
    } catch (error) {
      if (!isExhaustion(error)) return;
      this.#state = 'exhausted';
      this.close();
    }
    if (this.#state === 'plenty' && this.#spare.length === 0) this.#holdSpare();
  }

  /** Gives back what it holds. */
  close(): void {
    for (const descriptor of this.#spare.splice(0)) closeSync(descriptor);
  }

  #holdSpare(): void {
    try {
      while (this.#spare.length < SPARE) this.#spare.push(openSync(devNull, 'r'));
    } catch (error) {
      if (!isExhaustion(error)) throw error;
    }
  }
}

/** The highest number of so many descriptors, where they would be opened now. */
function numberOf(count: number): number {
  const opened: number[] = [];
  try {
    while (opened.length < count) opened.push(openSync(devNull, 'r'));
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
  return Math.max(...opened);
}

/** What `ulimit -n` says, to which Node raises its own limit at its start; Linux alone tells. */
function processLimit(): number | undefined {
  try {
    const [, limit] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}

function isExhaustion(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EMFILE' || error.code === 'ENFILE');
}
