import { closeSync, openSync, readFileSync } from 'node:fs';
import { devNull } from 'node:os';

/** Descriptors kept for Redis, the JWKS, handlers, and requests for the state of the pod. */
const RESERVED = 64;

/** Descriptors that the pod itself holds open and releases when all others are used up, so that an operator can still ask what is wrong. */
const SPARE = 8;

/** After this many new connections, the pod checks whether descriptors are scarce. */
const CHECK_EVERY = 16;

/** Descriptors that must be free beyond the reserve before they no longer count as scarce: hysteresis for `/readyz`. */
const ENOUGH = 16;

/** The most pending sockets (see `PendingSockets`), where there are descriptors for them. */
const MAX_PENDING = 12_288;

/** The part of the descriptors beyond the reserve that pending sockets may take, where that is less. */
const PENDING_SHARE = 0.75;

/** Pending sockets that are allowed while descriptors are scarce, so that an operator can ask why. */
const PENDING_WHILE_SCARCE = 32;

/** The same when only the spare descriptors are left. */
const PENDING_WHILE_EXHAUSTED = SPARE / 2;

/**
 * The file descriptors of the process, of which each connection takes one, up to the limit (`ulimit -n`). When they are used up, the kernel
 * accepts no more connections and no client learns why, so the pod refuses clients before that.
 */
export class Descriptors {
  /** Undefined where the system does not report it. */
  readonly limit: number | undefined;
  #state: 'plenty' | 'scarce' | 'exhausted' = 'plenty';
  #sinceCheck = 0;
  readonly #spare: number[] = [];
  readonly #pending: { readonly size: number }[] = [];

  /** @param limit given in tests */
  constructor(limit = processLimit()) {
    this.limit = limit;
  }

  /** Whether another client would take a reserved descriptor. */
  get areScarce(): boolean {
    return this.#state !== 'plenty';
  }

  /** Whether there is no descriptor for another WebSocket, and no pending socket to close for it. */
  get areUsedUp(): boolean {
    return this.areScarce && this.#pending.every(({ size }) => size <= this.mostPending);
  }

  /** @param sockets pending sockets, some of which are closed while descriptors are scarce */
  reclaimFrom(sockets: { readonly size: number }): void {
    this.#pending.push(sockets);
  }

  /** The number of pending sockets that are allowed now. */
  get mostPending(): number {
    if (this.#state === 'exhausted') return PENDING_WHILE_EXHAUSTED;
    if (this.#state === 'scarce') return PENDING_WHILE_SCARCE;
    if (this.limit === undefined) return MAX_PENDING;
    return Math.min(MAX_PENDING, Math.max(PENDING_WHILE_SCARCE, Math.floor((this.limit - RESERVED) * PENDING_SHARE)));
  }

  /** The limit of open files that this many WebSockets need, with everything else. */
  static needed(connections: number): number {
    return connections + MAX_PENDING + RESERVED;
  }

  /** A client has connected. */
  taken(): void {
    this.#sinceCheck += 1;
    if (this.areScarce || this.#sinceCheck >= CHECK_EVERY) this.check();
  }

  /** Checks whether descriptors are scarce. */
  check(): void {
    this.#sinceCheck = 0;
    try {
      // POSIX gives the lowest free number, so a number within the reserve means that all others are taken.
      const highest = numberOf(this.areScarce ? ENOUGH : 1);
      this.#state = this.limit !== undefined && highest >= this.limit - RESERVED ? 'scarce' : 'plenty';
    } catch (error) {
      if (!isExhaustion(error)) return;
      this.#state = 'exhausted';
      this.close();
    }
    if (this.#state === 'plenty' && this.#spare.length === 0) this.#holdSpare();
  }

  /** Releases the spare descriptors. */
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

/** The highest of `count` descriptors that are opened now, and closed again. */
function numberOf(count: number): number {
  const opened: number[] = [];
  try {
    while (opened.length < count) opened.push(openSync(devNull, 'r'));
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
  return Math.max(...opened);
}

/** The limit of open files, which Node raises to `ulimit -Hn` at its start; undefined on systems without /proc. */
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
