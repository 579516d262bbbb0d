import type { Connection, Fact, PodName, Written } from '../facts.js';
import { channelOf, type Check, type CheckOptions } from './check.js';

interface Waiting {
  /** It has been written to: it is in its rooms. */
  isIn: boolean;
  messages: number;
  bytes: number;
  /** What came in one turn is judged when the next comes: it is handed over when the turn ends. */
  turnMs: number;
  turnMessages: number;
  turnBytes: number;
}

const NOTHING = { messages: 0, bytes: 0, turnMs: -Infinity, turnMessages: 0, turnBytes: 0 };

/** A gap has no weight in the buffer, nor has what a turn brings while it is judged. */
const SPARE_MESSAGES = 100;
/** A turn may bring several of the largest messages, when a line carries all at once what it held up. */
const SPARE_BYTES = 500_000;
const GAP_MESSAGES = 1;
const GAP_BYTES = 500;

/** Nothing grows beyond its bounds: what waits for a socket, and what a connection has on its way to Redis. */
export class BoundsCheck implements Check {
  readonly #options: CheckOptions;
  readonly #waiting = new Map<Connection, Waiting>();
  /** Who is in a channel at a pod. */
  readonly #members = new Map<string, Set<Connection>>();
  readonly #publishing = new Map<string, number>();

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  observe(fact: Fact, nowMs: number): void {
    if (fact.kind === 'written') this.#written(fact);
    else if (fact.kind === 'publishing') this.#publish(fact.from, fact.change);
    else if (fact.kind === 'opened') this.#open(fact.connection);
    else if (fact.kind === 'shut' || fact.kind === 'closed') this.#close(fact.connection);
    else if (fact.kind === 'arrived') {
      for (const connection of this.#members.get(keyOf(fact.pod, fact.channel)) ?? []) this.#wait(connection, fact.bytes, nowMs);
    }
  }

  #open(connection: Connection): void {
    for (const key of keysOf(connection)) this.#membersOf(key).add(connection);
    this.#waiting.set(connection, { isIn: false, ...NOTHING });
  }

  #close(connection: Connection): void {
    for (const key of keysOf(connection)) this.#membersOf(key).delete(connection);
    this.#waiting.delete(connection);
  }

  #written({ connection, messages, bytes, waited, full }: Written): void {
    const { config, report } = this.#options;
    if (full) report('was written to though its socket was full', connection);
    const waiting = this.#waiting.get(connection);
    if (waiting === undefined) return;
    waiting.isIn = true;
    if (waited === undefined) {
      // What finds the socket ready has nothing before it.
      Object.assign(waiting, NOTHING);
      return;
    }
    waiting.messages = Math.max(0, waiting.messages - messages);
    waiting.bytes = Math.max(0, waiting.bytes - bytes);
    if (waited.messages > config.sendBufferMessages + GAP_MESSAGES)
      report(`${waited.messages} messages had waited for it`, connection);
    if (waited.bytes > config.sendBufferBytes + GAP_BYTES) report(`${waited.bytes} bytes had waited for it`, connection);
  }

  #wait(connection: Connection, bytes: number, nowMs: number): void {
    const { config, report } = this.#options;
    const waiting = this.#waiting.get(connection);
    if (!waiting?.isIn || config.slowConsumerPolicy !== 'disconnect') return;
    if (waiting.turnMs === nowMs) {
      waiting.turnMessages += 1;
      waiting.turnBytes += bytes;
      return;
    }
    waiting.messages += waiting.turnMessages;
    waiting.bytes += waiting.turnBytes;
    Object.assign(waiting, { turnMs: nowMs, turnMessages: 1, turnBytes: bytes });
    const isBeyond =
      waiting.messages > config.sendBufferMessages + SPARE_MESSAGES || waiting.bytes > config.sendBufferBytes + SPARE_BYTES;
    if (!isBeyond) return;
    this.#waiting.delete(connection);
    report(`${waiting.messages} messages, ${waiting.bytes} bytes wait for it`, connection);
  }

  #publish(from: string, change: 1 | -1): void {
    const { config, report } = this.#options;
    const publishing = (this.#publishing.get(from) ?? 0) + change;
    if (publishing > 0) this.#publishing.set(from, publishing);
    else this.#publishing.delete(from);
    if (from !== 'server' && publishing > config.publishWindow) report(`${publishing} publishes of ${from} are unconfirmed`);
  }

  #membersOf(key: string): Set<Connection> {
    const members = this.#members.get(key) ?? new Set<Connection>();
    this.#members.set(key, members);
    return members;
  }
}

function keysOf({ pod, client }: Connection): readonly string[] {
  return ['', ...client.rooms].map((room) => keyOf(pod, channelOf(room)));
}

function keyOf({ life }: PodName, channel: string): string {
  return `${life} ${channel}`;
}
