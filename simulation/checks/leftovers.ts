import type { Fact } from '../facts.js';
import type { Check, CheckOptions } from './check.js';

/** No resource is left at the end of a run, and the code logged or threw no error. */
export class LeftoversCheck implements Check {
  readonly #options: CheckOptions;

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  observe(fact: Fact): void {
    if (fact.kind === 'left-over') this.#options.report(`left over: ${fact.what}`);
    else if (fact.kind === 'failed') this.#options.report(fact.what);
  }
}
