import { NEVER, type Subject } from 'rxjs';
import type { RunHelpers } from 'rxjs/testing';
import type { Consumer } from '../../src/operators/boundedBuffer.js';

/** A consumer that takes all that it is handed. */
export const READY: Consumer = { isWritable: true, writable$: NEVER };

/** A consumer that takes what it is handed, or does not, as a row of marbles says; a test may overrule the row. */
export interface RowConsumer extends Consumer {
  isWritable: boolean;
  readonly writable$: Subject<unknown> & { readonly subscriptions: ReturnType<RunHelpers['hot']>['subscriptions'] };
}

/**
 * `t` in the row: it takes more again; `f`: it takes no more. It is ready until the row says otherwise. Its `writable$` is the row
 * without what a consumer does not tell: that it takes no more.
 */
export function rowConsumer(hot: RunHelpers['hot'], row: string): RowConsumer {
  const consumer = { isWritable: true };
  // Made first, and so told first: who hears that the consumer takes more finds that it does.
  hot(row, { t: true, f: false }).subscribe({
    next: (writable) => {
      consumer.isWritable = writable;
    },
    error: () => undefined,
  });
  return Object.assign(consumer, { writable$: hot<unknown>(row.replaceAll('f', '-')) });
}
