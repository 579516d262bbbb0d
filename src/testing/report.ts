import type { Logger } from '../runtime/log.js';
import { noMetrics, type Metrics } from '../runtime/metrics.js';
import { show } from './diagram/show.js';
import { recordingLogger, type Logged } from './recording-logger.js';
import type { VirtualTest } from './virtual-test.js';

/** What else came of a test, for its runner's own assertions. */
export interface TestReport {
  /** In their order. */
  readonly logged: readonly Logged[];
  /** How often handlers counted what, by `type event`. */
  readonly counted: Readonly<Record<string, number>>;
}

/** A report that is being written. */
export interface Report extends TestReport {
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Writes down what is logged and counted; what failed is a hint, where rows do not come true. */
export function reporting(test: VirtualTest): Report {
  const logged: Logged[] = [];
  const counted: Record<string, number> = {};
  const log = recordingLogger((line) => {
    logged.push(line);
    const { level, event, details } = line;
    if (level === 'error' || level === 'fatal') test.hints.push(`logged: ${event}: ${show(details['err'])}`);
  });
  const metrics: Metrics = {
    ...noMetrics,
    handlerEvent: (type, event) => {
      const name = `${type} ${event}`;
      counted[name] = (counted[name] ?? 0) + 1;
    },
  };
  return { logged, counted, log, metrics };
}
