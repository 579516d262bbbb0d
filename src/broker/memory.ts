import { NEVER, Observable, Subject, concat, filter, of } from 'rxjs';
import type { Broker, Publication } from './broker.js';

/**
 * The in-process broker: for one pod without Redis, or for several pods of one process that share a bus.
 *
 * @param bus carries the publications of all brokers that are made with it
 */
export function memoryBroker(bus = new Subject<Publication>()): Broker {
  const rooms = new Set<string>();
  return {
    events$: bus.pipe(filter(({ room }) => rooms.has(room))),
    status$: concat(of({ up: true } as const), NEVER),
    subscribe: (room) =>
      new Observable((subscriber) => {
        rooms.add(room);
        subscriber.next(true);
        return () => {
          rooms.delete(room);
        };
      }),
    publish: (room, payload) =>
      new Observable((subscriber) => {
        bus.next({ kind: 'publication', room, payload: Buffer.from(payload) });
        subscriber.complete();
      }),
  };
}
