import { longestWaitMs } from '../../src/operators/within.js';
import type { Fact } from '../facts.js';
import type { Check, CheckOptions } from './check.js';

/** From a deadline to its error. */
const SPARE_MS = 50;

/** A pod may have this much under way to itself: well below what Redis keeps for a subscriber (`OutputBuffer`). */
export const MOST_COMING_BACK_BYTES = 8 * 1024 * 1024;

/** However thin the line, whoever publishes is told in time, and no pod has so much under way that Redis drops its subscription for it. */
export class LinesCheck implements Check {
  readonly #options: CheckOptions;

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  see(fact: Fact, nowMs: number): void {
    const { blame } = this.#options;
    if (fact.kind === 'publishing' && fact.change < 0) this.#settled(fact, nowMs);
    else if (fact.kind === 'coming-back' && fact.bytes > MOST_COMING_BACK_BYTES)
      blame(`pod ${fact.pod.slot} has published ${fact.bytes} bytes that have not come back to it`);
    else if (fact.kind === 'overflowed' && fact.ownBytes > MOST_COMING_BACK_BYTES)
      blame(`pod ${fact.pod.slot} lost its subscription by what it published itself: ${fact.ownBytes} of ${fact.bytes} bytes`);
  }

  #settled({ pod, from, tookMs }: Fact & { kind: 'publishing' }, nowMs: number): void {
    const { config, weather, blame } = this.#options;
    if (tookMs <= longestWaitMs(config.publishTimeoutMs) + SPARE_MS) return;
    // While the process stands still nobody can be told.
    if (weather.befell(pod.slot, ['stall'], nowMs - tookMs, nowMs)) return;
    blame(`a publish of ${from} at pod ${pod.slot} was under way for ${tookMs} ms`);
  }
}
