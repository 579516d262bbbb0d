import type { Connection, Fact } from '../facts.js';
import type { Check, CheckOptions } from './check.js';

/** The longest that a welcome may take without faults. */
const WELCOME_MS = 1000;

/** Every connection starts with exactly one welcome, in time, and receives nothing after its close. */
export class ProtocolCheck implements Check {
  readonly #options: CheckOptions;
  readonly #welcome = new Set<Connection>();

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  observe(fact: Fact, nowMs: number): void {
    if (fact.kind === 'heard') {
      const { connection, message, writtenMs, late } = fact;
      const isWelcome = message.type === 'system' && (message.data as { event?: string }).event === 'welcome';
      if (isWelcome === this.#welcome.has(connection)) {
        this.#options.report(isWelcome ? 'received two welcomes' : `received ${message.type} before the welcome`, connection);
      }
      if (isWelcome) this.#welcomed(connection, writtenMs);
      if (late) this.#options.report(`received ${message.type} after the close`, connection);
    } else if (fact.kind === 'ended') {
      if (fact.unread === 0 && !this.#welcome.has(fact.connection)) this.#checkDelay(fact.connection, nowMs);
      this.#welcome.delete(fact.connection);
    }
  }

  #welcomed(connection: Connection, writtenMs: number): void {
    this.#welcome.add(connection);
    this.#checkDelay(connection, writtenMs);
  }

  #checkDelay(connection: Connection, nowMs: number): void {
    const { openedMs, pod } = connection;
    if (nowMs <= this.#options.environment.calmFrom(openedMs, pod.slot) + WELCOME_MS) return;
    this.#options.report(`waited ${nowMs - openedMs} ms for its welcome`, connection);
  }
}
