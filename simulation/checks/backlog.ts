import { longestWaitMs } from '../../src/operators/within.js';
import type { Fact } from '../facts.js';
import type { Check, CheckOptions } from './check.js';

/** Tolerance between a deadline and its error. */
const SPARE_MS = 50;

/** The most of its own publishes that a pod may have on the way back: well below Redis' output buffer limit. */
export const MOST_COMING_BACK_BYTES = 8 * 1024 * 1024;

/** On a connection of any bandwidth, publishes are settled in time, and a pod's own publishes never make Redis drop its subscription. */
export class BacklogCheck implements Check {
  readonly #options: CheckOptions;

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  observe(fact: Fact, nowMs: number): void {
    const { report } = this.#options;
    if (fact.kind === 'publishing' && fact.change < 0) this.#settled(fact, nowMs);
    else if (fact.kind === 'coming-back' && fact.bytes > MOST_COMING_BACK_BYTES)
      report(`pod ${fact.pod.slot} has published ${fact.bytes} bytes that have not returned to it`);
    else if (fact.kind === 'overflowed' && fact.ownBytes > MOST_COMING_BACK_BYTES)
      report(`pod ${fact.pod.slot} lost its subscription because of its own publishes: ${fact.ownBytes} of ${fact.bytes} bytes`);
  }

  #settled({ pod, from, tookMs }: Fact & { kind: 'publishing' }, nowMs: number): void {
    const { config, environment, report } = this.#options;
    if (tookMs <= longestWaitMs(config.publishTimeoutMs) + SPARE_MS) return;
    // A stalled process cannot settle anything.
    if (environment.befell(pod.slot, ['stall'], nowMs - tookMs, nowMs)) return;
    report(`a publish of ${from} at pod ${pod.slot} was under way for ${tookMs} ms`);
  }
}
