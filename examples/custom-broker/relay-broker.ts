import { connect, type Socket } from 'node:net';
import { PublishError, type Broker, type BrokerEvent, type BrokerStatus } from 'chat-api';
import { BehaviorSubject, Observable, interval, retry, switchMap, timer, type Subscriber } from 'rxjs';
import { receive, send, type ToPod, type ToRelay } from './wire.js';

export interface RelayOptions {
  /** The Unix socket on which the relay listens. */
  readonly path: string;
  /** How long it may take to answer. */
  readonly timeoutMs?: number;
  /** From the loss of a connection to the next attempt. */
  readonly retryMs?: number;
}

/** What waits for the relay to have done everything that it was told before. */
interface Fence {
  readonly sentMs: number;
  readonly passed: () => void;
}

/** Joins the pods of one machine without Redis: each is connected to the relay. */
export class RelayBroker implements Broker {
  readonly events$: Observable<BrokerEvent>;
  readonly status$ = new BehaviorSubject<BrokerStatus>({ up: false, reason: 'not connected yet' });
  readonly #timeoutMs: number;
  /** Who wants which room. */
  readonly #rooms = new Map<string, Subscriber<boolean>>();
  readonly #confirmed = new Set<string>();
  readonly #underWay = new Map<number, Subscriber<never>>();
  readonly #fences = new Map<number, Fence>();
  #relay: Socket | undefined;
  #count = 0;
  /** When the last fence that came back was sent: up to then nothing was missed. */
  #provenMs: number | undefined;

  constructor({ path, timeoutMs = 2000, retryMs = 200 }: RelayOptions) {
    this.#timeoutMs = timeoutMs;
    this.events$ = relay$(path).pipe(
      switchMap((relay) => this.#serve(relay)),
      retry({ delay: () => timer(retryMs) }),
    );
  }

  subscribe(room: string): Observable<boolean> {
    return new Observable((subscriber) => {
      this.#rooms.set(room, subscriber);
      this.#join([[room, subscriber]]);
      return () => {
        this.#rooms.delete(room);
        this.#confirmed.delete(room);
        this.#tell(['leave', room]);
      };
    });
  }

  publish(room: string, payload: string): Observable<never> {
    return new Observable((subscriber) => {
      if (!this.status$.value.up) throw new PublishError('unavailable', 'no connection to the relay');
      const nth = (this.#count += 1);
      this.#underWay.set(nth, subscriber);
      const late = timer(this.#timeoutMs).subscribe(() => {
        subscriber.error(new PublishError('unconfirmed', 'the relay did not answer'));
      });
      subscriber.add(late);
      subscriber.add(() => this.#underWay.delete(nth));
      this.#tell(['publish', nth, room, payload]);
    });
  }

  /** One connection, from its first moment to its end. */
  #serve(relay: Socket): Observable<BrokerEvent> {
    return new Observable((hub) => {
      this.#relay = relay;
      receive(relay, (line) => {
        // Both ends are ours.
        this.#take(line as ToPod, hub);
      });
      this.#join([...this.#rooms], () => {
        // Before anything else comes from a connection that replaces another.
        // What was published just before may bear a time from before it went out.
        if (this.#provenMs !== undefined) hub.next({ kind: 'gap', sinceMs: this.#provenMs - this.#timeoutMs });
        this.status$.next({ up: true });
      });
      const proving = interval(this.#timeoutMs / 2).subscribe(() => {
        this.#prove(relay);
      });
      return () => {
        proving.unsubscribe();
        this.#lose();
      };
    });
  }

  #take(line: ToPod, hub: Subscriber<BrokerEvent>): void {
    switch (line[0]) {
      case 'publication': {
        const [, room, payload] = line;
        if (this.#confirmed.has(room)) hub.next({ kind: 'publication', room, payload: Buffer.from(payload) });
        break;
      }
      case 'published':
        this.#underWay.get(line[1])?.complete();
        break;
      case 'fence':
        this.#pass(line[1]);
    }
  }

  #join(rooms: readonly (readonly [string, Subscriber<boolean>])[], first: () => void = () => undefined): void {
    for (const [room] of rooms) this.#tell(['join', room]);
    this.#fence(() => {
      first();
      for (const [room, subscriber] of rooms) {
        // It may have been left meanwhile, and joined again.
        if (this.#rooms.get(room) !== subscriber) continue;
        this.#confirmed.add(room);
        subscriber.next(true);
      }
    });
  }

  /** Without a connection there is nothing to wait for: the next one begins with a fence for all rooms. */
  #fence(passed: () => void): void {
    if (!this.#relay) return;
    const nth = (this.#count += 1);
    this.#fences.set(nth, { sentMs: Date.now(), passed });
    this.#tell(['fence', nth]);
  }

  #pass(nth: number): void {
    const fence = this.#fences.get(nth);
    this.#fences.delete(nth);
    fence?.passed();
    this.#provenMs = fence?.sentMs ?? this.#provenMs;
  }

  /** A connection that is open proves nothing. */
  #prove(relay: Socket): void {
    const [oldest] = this.#fences.values();
    if (oldest && Date.now() - oldest.sentMs > this.#timeoutMs) relay.destroy();
    else this.#fence(() => undefined);
  }

  #tell(line: ToRelay): void {
    if (this.#relay) send(this.#relay, line);
  }

  #lose(): void {
    this.#relay = undefined;
    this.#fences.clear();
    this.status$.next({ up: false, reason: 'the relay is gone' });
    for (const subscriber of this.#underWay.values()) subscriber.error(new PublishError('unconfirmed', 'the relay is gone'));
    for (const room of this.#confirmed) this.#rooms.get(room)?.next(false);
    this.#confirmed.clear();
  }
}

/** Connects when subscribed to; errors when the connection is over, or never was. */
function relay$(path: string): Observable<Socket> {
  return new Observable((subscriber) => {
    const socket = connect(path);
    socket.on('connect', () => {
      subscriber.next(socket);
    });
    socket.on('error', (error) => {
      subscriber.error(error);
    });
    socket.on('close', () => {
      subscriber.error(new Error('the relay is gone'));
    });
    return () => socket.destroy();
  });
}
