import type { Fact } from '../facts.js';
import type { Check, CheckOptions } from './check.js';

/** At the end nothing lives on, and at no time did the code itself fail. */
export class RemainsCheck implements Check {
  readonly #options: CheckOptions;

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  see(fact: Fact): void {
    if (fact.kind === 'left-over') this.#options.blame(`left over: ${fact.what}`);
    else if (fact.kind === 'failed') this.#options.blame(fact.what);
  }
}
