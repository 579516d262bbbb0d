import { expect, test } from '@jest/globals';
import {
  EMPTY,
  NEVER,
  Observable,
  Subject,
  catchError,
  concatMap,
  defer,
  delay,
  filter,
  merge,
  mergeMap,
  of,
  startWith,
  tap,
  throwError,
} from 'rxjs';
import { RoomRefusedError, type Broker, type BrokerEvent } from '../../src/broker/broker.js';
import type { Publication } from '../../src/broker/broker.js';
import { brokerContract, type ContractSetup } from '../../src/testing/brokerContract.js';
import { TestBroker } from '../../src/testing/conversation/test-broker.js';

const PATIENCE_MS = 50;

/** What is different in a broker, and in another that is on the same bus. */
type Fault = (broker: TestBroker, bus: Subject<Publication>) => Partial<Broker>;

function createPods(fault: Fault): Promise<ContractSetup> {
  const bus = new Subject<Publication>();
  const brokers = [new TestBroker(bus, () => 0), new TestBroker(bus, () => 0)] as const;
  const refused = new Set<string>();
  const faulty = (broker: TestBroker): Broker => ({
    events$: broker.events$,
    status$: broker.status$,
    subscribe: (room) => (refused.has(room) ? refuse() : broker.subscribe(room)),
    publish: (room, payload) => broker.publish(room, payload),
    ...fault(broker, bus),
  });
  const each = (change: (broker: TestBroker) => void) => () => {
    brokers.forEach(change);
    return Promise.resolve();
  };
  const outage = {
    break: each((broker) => {
      broker.break();
    }),
    mend: each((broker) => {
      broker.mend();
    }),
  };
  return Promise.resolve({
    pods: [faulty(brokers[0]), faulty(brokers[1])],
    outage,
    refuse: (room) => {
      refused.add(room);
      return Promise.resolve();
    },
    end: () => Promise.resolve(),
  });
}

function refuse(): Observable<never> {
  return throwError(() => new RoomRefusedError('not for this pod'));
}

/** The names of the cases that fail. */
async function failures(fault: Fault, only?: string): Promise<readonly string[]> {
  const cases = brokerContract(() => createPods(fault), { patienceMs: PATIENCE_MS });
  const failed: string[] = [];
  for (const { name, run } of cases.filter((one) => only === undefined || one.name === only)) {
    await run().catch(() => failed.push(name));
  }
  return failed;
}

/** Publications, each as something else. */
function changed({ events$ }: Broker, change: (publication: Publication) => readonly Publication[]): Pick<Broker, 'events$'> {
  return { events$: events$.pipe(concatMap((event) => (event.kind === 'publication' ? change(event) : [event]))) };
}

test('a broker that keeps every rule fails in no case', async () => {
  expect(await failures(() => ({}))).toEqual([]);
});

test.each<[what: string, failed: string, fault: Fault]>([
  ['is never up', 'its status is told at once, and becomes up', () => ({ status$: of({ up: false, reason: 'no' }) })],
  [
    'tells its status late',
    'its status is told at once, and becomes up',
    ({ status$, events$ }) => ({
      status$: status$.pipe(delay(1)),
      events$: events$.pipe(startWith({ kind: 'gap', sinceMs: 0 } as const)),
    }),
  ],
  ['never confirms', 'a subscription is confirmed once', () => ({ subscribe: () => NEVER })],
  [
    'confirms twice',
    'a subscription is confirmed once',
    (broker) => ({ subscribe: (room) => broker.subscribe(room).pipe(concatMap((confirmed) => [confirmed, confirmed])) }),
  ],
  [
    'tells a gap for nothing',
    'no gap is told where nothing was lost',
    ({ events$ }) => ({ events$: events$.pipe(startWith<BrokerEvent>({ kind: 'gap', sinceMs: 0 })) }),
  ],
  [
    'publishes with a value',
    'a publish completes without a value, whether somebody listens or not',
    (broker) => ({ publish: (room, payload) => merge(of(true), broker.publish(room, payload)) as Observable<never> }),
  ],
  [
    'cannot publish to nobody',
    'a publish completes without a value, whether somebody listens or not',
    (broker) => ({
      publish: (room, payload) => (room === 'tea' ? broker.publish(room, payload) : throwError(() => new Error('nobody'))),
    }),
  ],
  [
    'publishes before it is subscribed to',
    'a publish happens once for each time it is subscribed to, and not before',
    (broker) => ({
      publish: (room, payload) => {
        broker.publish(room, payload).subscribe();
        return EMPTY;
      },
    }),
  ],
  [
    'delivers twice',
    'what one pod publishes reaches both that subscribed, the publisher too, once',
    (broker) => changed(broker, (publication) => [publication, publication]),
  ],
  [
    'delivers to others alone',
    'what one pod publishes reaches both that subscribed, the publisher too, once',
    (broker) => {
      const own = new Set<string>();
      return {
        ...changed(broker, (publication) => (own.has(publication.payload.toString()) ? [] : [publication])),
        publish: (room, payload) => {
          own.add(payload);
          return broker.publish(room, payload);
        },
      };
    },
  ],
  [
    'has an order for each pod',
    'a room has one order for all, and each publisher its own within it',
    ({ events$ }) => {
      let count = 0;
      return { events$: events$.pipe(mergeMap((event) => ((count += 1) % 7 === 0 ? of(event).pipe(delay(1)) : of(event)))) };
    },
  ],
  ['delivers what is for other rooms', 'rooms stay apart', (_, bus) => ({ events$: bus })],
  [
    'has no global room',
    'the global room is a room like the others',
    (broker) => ({ publish: (room, payload) => (room === '' ? EMPTY : broker.publish(room, payload)) }),
  ],
  [
    'keeps what nobody was there for',
    'nothing comes from a room before it is subscribed to',
    (broker, bus) => {
      const kept: Publication[] = [];
      const again$ = new Subject<Publication>();
      bus.subscribe((publication) => kept.push(publication));
      const repeat = (room: string) => {
        for (const publication of kept) if (publication.room === room) again$.next(publication);
      };
      return {
        events$: merge(broker.events$, again$),
        subscribe: (room) =>
          broker.subscribe(room).pipe(
            tap(() => {
              repeat(room);
            }),
          ),
      };
    },
  ],
  [
    'never leaves a room',
    'nothing comes from a room after unsubscribing, until it is subscribed to again',
    (broker) => ({
      subscribe: (room) =>
        new Observable((subscriber) => {
          broker.subscribe(room).subscribe((confirmed) => {
            subscriber.next(confirmed);
          });
        }),
    }),
  ],
  [
    'leaves a room late, when it may be wanted again',
    'leaving a room and coming back at once is being in it',
    (broker) => ({
      subscribe: (room) =>
        new Observable((subscriber) => {
          const subscription = broker.subscribe(room).subscribe((confirmed) => {
            subscriber.next(confirmed);
          });
          return () => {
            queueMicrotask(() => {
              subscription.unsubscribe();
            });
          };
        }),
    }),
  ],
  [
    'knows one alphabet',
    'the bytes of a payload come through untouched',
    (broker) =>
      changed(broker, (publication) => [{ ...publication, payload: Buffer.from(publication.payload.toString('latin1')) }]),
  ],
  [
    'takes capitals for small letters',
    'a room is its name, whatever characters are in it',
    (broker) => ({ publish: (room, payload) => broker.publish(room.toLowerCase(), payload) }),
  ],
  [
    'has a room that is refused',
    'a room that is refused errors with a RoomRefusedError, and costs no other room anything',
    (broker) => ({ subscribe: (room) => broker.subscribe(room) }),
  ],
  [
    'never confirms a room that is refused, and says nothing',
    'a room that is refused errors with a RoomRefusedError, and costs no other room anything',
    (broker) => ({ subscribe: (room) => (room === 'refused' ? NEVER : broker.subscribe(room)) }),
  ],
  [
    'refuses a room with any error',
    'a room that is refused errors with a RoomRefusedError, and costs no other room anything',
    (broker) => ({
      subscribe: (room) => (room === 'refused' ? throwError(() => new Error('NOPERM')) : broker.subscribe(room)),
    }),
  ],
  [
    'loses all rooms with one that is refused',
    'a room that is refused errors with a RoomRefusedError, and costs no other room anything',
    (broker) => {
      const lost$ = new Subject<boolean>();
      const lost = defer(() => {
        lost$.next(false);
        lost$.next(true);
        return refuse();
      });
      return { subscribe: (room) => (room === 'refused' ? lost : merge(broker.subscribe(room), lost$)) };
    },
  ],
  [
    'tells a gap for a room that is refused',
    'a room that is refused errors with a RoomRefusedError, and costs no other room anything',
    (broker) => {
      const gap$ = new Subject<BrokerEvent>();
      const told = defer(() => {
        gap$.next({ kind: 'gap', sinceMs: 0 });
        return refuse();
      });
      return {
        events$: merge(broker.events$, gap$),
        subscribe: (room) => (room === 'refused' ? told : broker.subscribe(room)),
      };
    },
  ],
  [
    'tells no gap',
    'a lost subscription is told, replaced, and told by a gap before anything else comes',
    ({ events$ }) => ({ events$: events$.pipe(filter(({ kind }) => kind !== 'gap')) }),
  ],
  [
    'confirms before it has told the gap',
    'a lost subscription is told, replaced, and told by a gap before anything else comes',
    ({ events$ }) => ({
      events$: events$.pipe(mergeMap((event) => (event.kind === 'gap' ? of(event).pipe(delay(1)) : of(event)))),
    }),
  ],
  [
    'does not say that a subscription is lost',
    'a lost subscription is told, replaced, and told by a gap before anything else comes',
    (broker) => ({ subscribe: (room) => broker.subscribe(room).pipe(filter(Boolean)) }),
  ],
  [
    'fails with any error',
    'a publish during an outage fails with a PublishError, if it fails',
    (broker) => ({
      publish: (room, payload) => broker.publish(room, payload).pipe(catchError(() => throwError(() => new TypeError('down')))),
    }),
  ],
  [
    'brings back what was left',
    'an outage loses no subscription and brings back none that was left',
    (broker, bus) => ({ events$: merge(broker.events$, bus.pipe(filter(({ room }) => room === 'left meanwhile'))) }),
  ],
])('a broker that %s is found: %s', async (_, failed, fault) => {
  expect(await failures(fault, failed)).toEqual([failed]);
});

test('where there is no outage and no refusal, the cases about them check nothing', async () => {
  const cases = brokerContract(
    async () => ({
      ...(await createPods(() => ({ subscribe: () => NEVER }))),
      outage: undefined as never,
      refuse: undefined as never,
    }),
    { patienceMs: PATIENCE_MS },
  );
  for (const name of ['a room that is refused', 'an outage']) {
    const about = cases.filter((one) => one.name.startsWith(name));
    expect(about).toHaveLength(1);
    for (const { run } of about) await run();
  }
});
