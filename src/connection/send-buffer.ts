import { withoutOldest, type Batch } from '../hub/frame.js';
import type { Metrics } from '../runtime/metrics.js';
import type { BoundedBufferOptions, DropOldest, Weight } from '../operators/boundedBuffer.js';
import type { Limits } from './limits.js';
import { gapBatch } from '../hub/server-message.js';
import type { Outbound } from './transport.js';
import type { Runtime } from '../runtime/runtime.js';

/** The bounds of what waits for a full socket, and what gives when they are reached (spec: "The life of a connection", 4). */
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

/** A close waits its turn behind what was said before, and takes no room there. */
const NO_WEIGHT: Weight = { messages: 0, bytes: 0 };

function weigh(item: Outbound): Weight | undefined {
  return item.kind === 'batch' ? item : item.kind === 'shut' ? NO_WEIGHT : undefined;
}

/** What stands where messages were dropped, and since when some may be missing. The buffers of a pod share their options, so it is kept here. */
interface Gap extends Batch {
  readonly sinceMs: number;
}

/** Only what was published may go; the server's own word stays. */
function dropOldest(runtime: Runtime): DropOldest<Outbound> {
  return {
    mayDrop: (item) => item.kind === 'batch' && item.publishedAtMs !== undefined,
    withoutOldest: (item) => withoutOldest(item as Batch),
    gap: (dropped, present) => {
      const sinceMs = (dropped as Batch).publishedAtMs ?? runtime.wallMs();
      // What took long to reach Redis can be older than what came before it: nothing older than `since` may be missing.
      if (present && sinceMs >= (present as Gap).sinceMs) return present;
      const gap: Gap = { ...gapBatch('slow_consumer', sinceMs, runtime), sinceMs };
      return gap;
    },
  };
}
