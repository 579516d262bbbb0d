import { map, merge, type Observable, type SchedulerLike } from 'rxjs';
import { memoryBroker } from '../../src/broker/memory.js';
import { readConfig } from '../../src/config/config.js';
import { builtInHandlers } from '../../src/handlers/built-in/index.js';
import { silentLogger } from '../../src/runtime/log.js';
import { noMetrics } from '../../src/runtime/metrics.js';
import { createPod, type PodParts } from '../../src/server/pod.js';
import type { ConnectionContext, Pod } from '../../src/connection/context.js';
import { readFrames } from '../../src/testing/frames.js';
import { TICK, type Inbound, type Outbound } from '../../src/connection/transport.js';
import { virtualRuntime } from './marbles.js';

/** A pod in virtual time, on the in-process broker, with the service's defaults where nothing else is said. */
export function virtualPod(scheduler: SchedulerLike, parts: Partial<PodParts> = {}): Pod {
  return createPod({
    limits: readConfig({}),
    handlers: builtInHandlers,
    broker: memoryBroker(),
    runtime: virtualRuntime(scheduler),
    metrics: noMetrics,
    log: silentLogger,
    ...parts,
  });
}

/** A connection's mailbox as the reception keeps it: what its client sends, and the pod's pulse. */
export function mailbox(client$: Observable<Inbound>, { clock: pulse }: Pod): Observable<Inbound> {
  return merge(client$, pulse.tick$.pipe(map(() => TICK)));
}

/** A connection's context; its identity is its id, as without authentication. */
export function inRooms(pod: Pod, id: string, rooms: readonly string[] = []): ConnectionContext {
  return { pod, id, identity: id, rooms, access: undefined };
}

/** What a client would read of an outbound: `[type or event, data…]` per message, or the order's kind. */
export function readable(outbound: Outbound): unknown {
  if (outbound.kind === 'batch') return outbound.parts.flatMap((part) => readFrames(part).map(({ message }) => message));
  return outbound.kind === 'shut' ? { shut: outbound.code } : outbound.kind;
}
