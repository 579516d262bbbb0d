import type { Connection, Fact } from '../facts.js';
import type { Habit } from '../plan.js';
import type { Check, CheckOptions } from './check.js';

/** The canary's interval, and how long it may be away (spec: "Redis"). */
const CANARY_MS = 2000;
/** From Redis to a client. */
const WAY_MS = 200;
/** Who may be taken for dead. */
const UNHEARD: readonly Habit[] = ['silent', 'vanishing', 'stalling', 'slow'];

/** Nobody is told of trouble where there is none: every gap and every close has its cause, and a gap does not reach back too far. */
export class CausesCheck implements Check {
  readonly #options: CheckOptions;
  readonly #filled = new Set<Connection>();
  readonly #endMs: number;

  /** @param endMs from then on clients leave and pods go */
  constructor(options: CheckOptions, endMs: number) {
    this.#options = options;
    this.#endMs = endMs;
  }

  see(fact: Fact, nowMs: number): void {
    if (fact.kind === 'written') {
      if (fact.fills) this.#filled.add(fact.connection);
    } else if (fact.kind === 'closed') {
      if (!this.#mayClose(fact.code, fact.connection, nowMs))
        this.#options.blame(`was closed with ${fact.code} without a cause`, fact.connection);
      this.#filled.delete(fact.connection);
    } else if (fact.kind === 'heard' && fact.message.type === 'system') {
      const { event, reason, since } = fact.message.data as { event?: string; reason?: string; since?: string };
      if (event === 'gap') this.#judgeGap(fact.connection, reason, Date.parse(since ?? ''), Date.parse(fact.message.timestamp));
    }
  }

  #mayClose(code: number, connection: Connection, nowMs: number): boolean {
    const { weather } = this.#options;
    const { client, pod } = connection;
    const drained = () => nowMs >= this.#endMs || weather.wasBad(pod.slot, nowMs, nowMs, ['drain']);
    switch (code) {
      case 1000:
        return client.habit === 'restless' || nowMs >= this.#endMs;
      case 1001:
      case 1006:
        return drained();
      case 4000:
        return this.#filled.has(connection);
      case 4001:
        return UNHEARD.includes(client.habit);
      case 4500:
        return client.habit === 'babbling';
      default:
        return false;
    }
  }

  /**
   * Where the master or the owner of a slot changed, another pod may tell what it misplaced, as soon as it can, and what was wrong there is why: it may
   * have been cut off since.
   */
  #isToldByOthers(toldMs: number): boolean {
    const { weather, plan } = this.#options;
    return weather.lingers(['demotion', 'failover', 'bus-cut', 'slot-move'], toldMs, plan.settings.pods);
  }

  #judgeGap(connection: Connection, reason: string | undefined, sinceMs: number, toldMs: number): void {
    const { weather, config, blame } = this.#options;
    if (reason === 'slow_consumer') {
      if (config.slowConsumerPolicy !== 'drop-oldest') blame('was told of a drop where none is allowed', connection);
      return;
    }
    const { slot } = connection.pod;
    const reachMs = CANARY_MS + config.publishTimeoutMs + WAY_MS;
    const isOurs = weather.wasBad(slot, toldMs, toldMs);
    const isTheirs = () => this.#isToldByOthers(toldMs);
    const explained = (whose: number | 'any') => weather.explains(whose, sinceMs, toldMs, reachMs);
    if (sinceMs > toldMs) blame('was told of a gap that is still to come', connection);
    else if (!isOurs && !isTheirs()) blame('was told of a gap though nothing was wrong', connection);
    else if (!explained(slot) && !(isTheirs() && explained('any'))) {
      blame(`was told of a gap since ${new Date(sinceMs).toISOString()}, long before any fault`, connection);
    }
  }
}
