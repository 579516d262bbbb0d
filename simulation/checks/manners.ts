import type { Connection, Fact } from '../facts.js';
import type { Check, CheckOptions } from './check.js';

/** So long a welcome may take when nothing is wrong. */
const WELCOME_MS = 1000;

/** Every connection begins with one welcome, which comes in time, and ends with the close. */
export class MannersCheck implements Check {
  readonly #options: CheckOptions;
  readonly #welcome = new Set<Connection>();

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  see(fact: Fact, nowMs: number): void {
    if (fact.kind === 'heard') {
      const { connection, message, writtenMs, late } = fact;
      const isWelcome = message.type === 'system' && (message.data as { event?: string }).event === 'welcome';
      if (isWelcome === this.#welcome.has(connection)) {
        this.#options.blame(isWelcome ? 'was welcome twice' : `heard ${message.type} before the welcome`, connection);
      }
      if (isWelcome) this.#greeted(connection, writtenMs);
      if (late) this.#options.blame(`heard ${message.type} after the close`, connection);
    } else if (fact.kind === 'ended') {
      if (fact.unread === 0 && !this.#welcome.has(fact.connection)) this.#isInTime(fact.connection, nowMs);
      this.#welcome.delete(fact.connection);
    }
  }

  #greeted(connection: Connection, writtenMs: number): void {
    this.#welcome.add(connection);
    this.#isInTime(connection, writtenMs);
  }

  #isInTime(connection: Connection, nowMs: number): void {
    const { openedMs, pod } = connection;
    if (nowMs <= this.#options.weather.calmFrom(openedMs, pod.slot) + WELCOME_MS) return;
    this.#options.blame(`waited ${nowMs - openedMs} ms for its welcome`, connection);
  }
}
