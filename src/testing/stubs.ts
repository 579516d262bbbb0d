import { Observable, Subject, type SchedulerLike } from 'rxjs';
import { COMPLETE, ERROR, readMarbles } from './diagram/rows.js';
import { Legend } from './diagram/legend.js';
import { SubscriptionLog } from './diagram/subscription-log.js';

/** A stream that a row of the diagram gives. */
export interface HotStub {
  readonly legend: Legend;
  readonly value$: Subject<unknown>;
  /** What `#` stands for. */
  readonly error: unknown;
}

/** Streams that begin anew with each subscription. */
export interface ColdStub {
  /** When they were subscribed to, all together. */
  readonly log: SubscriptionLog;
}

/** The streams that a test makes up: what a handler would ask of the world outside. */
export class Stubs {
  /** By their names, which are those of rows. Many are made while the test runs, with the first message. */
  readonly hot = new Map<string, HotStub>();
  readonly cold = new Map<string, ColdStub>();
  readonly #scheduler: SchedulerLike;

  constructor(scheduler: SchedulerLike) {
    this.#scheduler = scheduler;
  }

  makeHot(name: string, values: Readonly<Record<string, unknown>> | undefined, error: unknown): Observable<unknown> {
    const stub = this.hot.get(name) ?? { legend: new Legend(values), value$: new Subject<unknown>(), error };
    this.hot.set(name, stub);
    return stub.value$;
  }

  makeCold(
    name: string,
    marbles: string,
    values: Readonly<Record<string, unknown>> | undefined,
    error: unknown,
  ): Observable<unknown> {
    const legend = new Legend(values);
    const { marks } = readMarbles(marbles);
    const log = this.cold.get(name)?.log ?? new SubscriptionLog(() => this.#scheduler.now());
    this.cold.set(name, { log });
    const source$ = new Observable((subscriber) => {
      for (const { atMs, letter } of marks) {
        const happen = () => {
          if (letter === COMPLETE) subscriber.complete();
          else if (letter === ERROR) subscriber.error(error);
          else subscriber.next(legend.valueOf(letter, name));
        };
        subscriber.add(this.#scheduler.schedule(happen, atMs));
      }
    });
    return source$.pipe(log.noted());
  }
}
