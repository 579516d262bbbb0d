import { withoutOldest, type Batch } from '../hub/frame.js';
import type { Metrics } from '../runtime/metrics.js';
import type { BoundedBufferOptions, DropOldest, Weight } from '../operators/boundedBuffer.js';
import type { Limits } from './limits.js';
import { gapBatch } from '../hub/server-message.js';
import type { Outbound } from './transport.js';
import type { Runtime } from '../runtime/runtime.js';

/** The bounds of the messages that wait for a full socket, and the policy at an overflow (docs/protocol.md, "Limits"). */
export type SendBuffer = BoundedBufferOptions<Outbound>;

export function sendBuffer(limits: Limits, metrics: Metrics, runtime: Runtime): SendBuffer {
  return {
    maxMessages: limits.sendBufferMessages,
    maxBytes: limits.sendBufferBytes,
    weigh,
    dropOldest: limits.slowConsumerPolicy === 'drop-oldest' ? dropOldest(runtime) : undefined,
    highWater: (messages) => {
      metrics.sendBufferHighWater(messages);
    },
  };
}

/** A close waits behind the messages before it, and counts against no bound. */
const NO_WEIGHT: Weight = { messages: 0, bytes: 0 };

function weigh(item: Outbound): Weight | undefined {
  return item.kind === 'batch' ? item : item.kind === 'shut' ? NO_WEIGHT : undefined;
}

/** A gap in the place of dropped messages, with its `since`. */
interface Gap extends Batch {
  readonly sinceMs: number;
}

/** Drops published messages only; the server's own messages stay. */
function dropOldest(runtime: Runtime): DropOldest<Outbound> {
  return {
    mayDrop: (item) => item.kind === 'batch' && item.publishedAtMs !== undefined,
    withoutOldest: (item) => withoutOldest(item as Batch),
    gap: (dropped, present) => {
      const sinceMs = (dropped as Batch).publishedAtMs ?? runtime.wallMs();
      // A message that took long to reach Redis can be older than those before it: nothing older than `since` may be missing.
      if (present && sinceMs >= (present as Gap).sinceMs) return present;
      const gap: Gap = { ...gapBatch('slow_consumer', sinceMs, runtime), sinceMs };
      return gap;
    },
  };
}
