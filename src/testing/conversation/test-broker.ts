import { BehaviorSubject, Observable, Subject, filter, map, merge, throwError } from 'rxjs';
import { memoryBroker } from '../../broker/memory.js';
import { PublishError, type Broker, type BrokerEvent, type BrokerStatus, type Gap } from '../../broker/broker.js';
import type { Publication } from '../../broker/broker.js';
import { SubscriptionLog } from '../diagram/subscription-log.js';

/** An in-process broker that can lose its way to the others. */
export class TestBroker implements Broker {
  readonly events$: Observable<BrokerEvent>;
  readonly status$: Observable<BrokerStatus>;
  readonly #memory: Broker;
  readonly #isUp$ = new BehaviorSubject(true);
  readonly #gap$ = new Subject<Gap>();
  readonly #now: () => number;
  readonly #logs = new Map<string, SubscriptionLog>();
  #lostMs = 0;

  /**
   * @param bus what joins the pods
   * @param now the clock, in milliseconds since the epoch
   */
  constructor(bus: Subject<Publication>, now: () => number) {
    this.#memory = memoryBroker(bus);
    this.#now = now;
    this.events$ = merge(this.#memory.events$.pipe(filter(() => this.#isUp$.value)), this.#gap$);
    this.status$ = this.#isUp$.pipe(map((up) => (up ? { up } : { up, reason: 'no way to the others' })));
  }

  /** The rooms that are subscribed to. */
  get rooms(): readonly string[] {
    return Array.from(this.#logs).flatMap(([room, { open }]) => (open > 0 ? [room] : []));
  }

  /** When it was asked for a room. */
  log(room: string): SubscriptionLog {
    const log = this.#logs.get(room) ?? new SubscriptionLog(this.#now);
    this.#logs.set(room, log);
    return log;
  }

  subscribe(room: string): Observable<boolean> {
    const confirmed$ = new Observable<boolean>((subscriber) => {
      subscriber.add(this.#memory.subscribe(room).subscribe());
      subscriber.add(this.#isUp$.subscribe(subscriber));
    });
    return confirmed$.pipe(this.log(room).noted());
  }

  publish(room: string, payload: string): Observable<never> {
    return new Observable((subscriber) => {
      const published$ = this.#isUp$.value
        ? this.#memory.publish(room, payload)
        : throwError(() => new PublishError('unavailable', 'no way to the others'));
      return published$.subscribe(subscriber);
    });
  }

  /** Nothing goes out and nothing comes in. */
  break(): void {
    if (!this.#isUp$.value) return;
    this.#lostMs = this.#now();
    this.#isUp$.next(false);
  }

  mend(): void {
    if (this.#isUp$.value) return;
    this.#gap$.next({ kind: 'gap', sinceMs: this.#lostMs });
    this.#isUp$.next(true);
  }
}
