import { longestWaitMs } from '../../src/operators/within.js';
import type { Connection, Fact } from '../facts.js';
import type { Habit } from '../plan.js';
import type { MachineClock } from '../machine-clock.js';
import { madeMs } from '../pod.js';
import type { Check, CheckOptions } from './check.js';

/** The canary's interval, and how long it may be away. */
const CANARY_MS = 2000;
/** A clock that is set shows in a `since` for as long as pods remember what it showed. */
const REMEMBERED_MS = 120_000;
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

  observe(fact: Fact, nowMs: number): void {
    if (fact.kind === 'written') {
      if (fact.fills) this.#filled.add(fact.connection);
    } else if (fact.kind === 'closed') {
      if (!this.#mayClose(fact.code, fact.connection, nowMs))
        this.#options.report(`was closed with ${fact.code} without a cause`, fact.connection);
      this.#filled.delete(fact.connection);
    } else if (fact.kind === 'heard' && fact.message.type === 'system') {
      const { event, reason, since } = fact.message.data as { event?: string; reason?: string; since?: string };
      if (event === 'gap') this.#judgeGap(fact.connection, reason, Date.parse(since ?? ''), madeMs(fact.message));
    }
  }

  #mayClose(code: number, connection: Connection, nowMs: number): boolean {
    const { environment } = this.#options;
    const { client, pod } = connection;
    const drained = () => nowMs >= this.#endMs || environment.hadFault(pod.slot, nowMs, nowMs, ['drain']);
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
    const { environment, plan } = this.#options;
    return environment.lingers(['demotion', 'failover', 'bus-cut', 'slot-move'], toldMs, plan.settings.pods);
  }

  #judgeGap(connection: Connection, reason: string | undefined, sinceMs: number, toldMs: number): void {
    const { environment, config, clocks, report } = this.#options;
    if (reason === 'slow_consumer') {
      if (config.slowConsumerPolicy !== 'drop-oldest') report('received a gap for a drop where none is allowed', connection);
      return;
    }
    const { slot } = connection.pod;
    const mostUnderWayMs = longestWaitMs(config.publishTimeoutMs);
    const reachMs = CANARY_MS + mostUnderWayMs + WAY_MS;
    const isOurs = environment.hadFault(slot, toldMs, toldMs);
    const isTheirs = () => this.#isToldByOthers(toldMs);
    const momentsBy = (some: readonly (MachineClock | undefined)[]) =>
      some.flatMap((clock) => clock?.momentsOf(sinceMs, toldMs - REMEMBERED_MS, toldMs) ?? []);
    const own = clocks[slot];
    const isExplained = () =>
      momentsBy([own]).some((ms) => environment.explains(slot, ms, toldMs, reachMs)) ||
      // What others tell is as old as they say, or by the time of their clocks, and was under way itself.
      (isTheirs() && momentsBy(clocks).some((ms) => environment.explains('any', ms, toldMs, 2 * reachMs)));
    if (sinceMs > (own?.at(toldMs) ?? toldMs)) report('received a gap that is still to come', connection);
    else if (!isOurs && !isTheirs()) report('received a gap though nothing was wrong', connection);
    else if (!isExplained()) {
      report(`received a gap since ${new Date(sinceMs).toISOString()}, long before any fault`, connection);
    }
  }
}
