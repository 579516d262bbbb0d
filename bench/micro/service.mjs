import { createRequire } from 'node:module';

// The service's own copy of RxJS, not that of the peers: an operator is measured on the classes it was built for.
export const { NEVER, Subject, of, take } = createRequire(new URL('../../package.json', import.meta.url))('rxjs');

/** A module of the built service. */
export function load(name) {
  return import(new URL(`../.build/dist/${name}.js`, import.meta.url));
}

/**
 * A pod without Redis, sockets or time: what is published arrives when the turn is ended by hand.
 *
 * @returns the pod, `bus` to publish past its connections, `endTurn`, and `clock`, whose time is set by hand
 */
export async function handPod() {
  const [{ createPod }, { memoryBroker }, { readConfig }, { builtInHandlers }, { silentLogger }, { noMetrics }, { nodeRuntime }] =
    await Promise.all(
      [
        ...['server/pod', 'broker/memory', 'config/config', 'handlers/built-in/index'],
        ...['runtime/log', 'runtime/metrics', 'runtime/node-runtime'],
      ].map(load),
    );
  const bus = new Subject();
  const turnEnd$ = new Subject();
  const clock = { nowMs: 0 };
  const pod = createPod({
    limits: readConfig({}),
    handlers: builtInHandlers,
    broker: memoryBroker(bus),
    runtime: {
      ...nodeRuntime,
      turnEnd$: turnEnd$.pipe(take(1)),
      scheduler: { now: () => clock.nowMs, schedule: nodeRuntime.scheduler.schedule },
    },
    metrics: noMetrics,
    log: silentLogger,
  });
  return { pod, bus, clock, endTurn: () => turnEnd$.next() };
}

/** An envelope as it comes from Redis, with 64 bytes of content. */
export function publication(room) {
  const envelope = {
    id: '0190f5a4-8c5e-7c3a-9d5e-1f2a3b4c5d6e',
    type: 'chat',
    room,
    from: '0190f5a4-8c5e-7c3a-9d5e-6e5d4c3b2a1f',
    data: { content: 'x'.repeat(64) },
    timestamp: '2026-01-01T00:00:00.000Z',
  };
  return { kind: 'publication', room, payload: Buffer.from(JSON.stringify(envelope)) };
}

/** What a client sends, with 64 bytes of content. */
export const CHAT = JSON.stringify({ type: 'chat', data: { content: 'x'.repeat(64) } });

/** Takes everything and counts it, so that nothing can be left out as unused. */
export function sink() {
  return {
    taken: 0,
    next() {
      this.taken += 1;
    },
  };
}

/** Connections in rooms: member `i` is in room `i mod rooms`. */
export function fill({ pod }, members, rooms, prefix = 'room') {
  for (let i = 0; i < members; i++) {
    const join$ = of({ kind: 'join', rooms: [`${prefix}-${i % rooms}`] });
    pod.hub.member$(`${prefix}-member-${i}`, join$).subscribe(sink());
  }
}
