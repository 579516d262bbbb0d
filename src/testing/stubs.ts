import { Observable, Subject, type Observer, type SchedulerLike } from 'rxjs';
import { Legend } from './diagram/legend.js';
import { COMPLETE, ERROR, readMarbles, type Mark } from './diagram/rows.js';
import { SubscriptionLog } from './diagram/subscription-log.js';

/** What the marks of a stream stand for. */
interface Meaning {
  readonly name: string;
  readonly legend: Legend;
  /** `#`. */
  readonly error: unknown;
}

/** A stream that a row of the diagram gives. */
export interface HotStub extends Meaning {
  readonly value$: Subject<unknown>;
}

/** Values by their letters; absent: the letters themselves. */
type Values = Readonly<Record<string, unknown>> | undefined;

/**
 * The streams that a test makes up: what a handler would ask of the runtime outside. Many are made while the test runs, with the
 * first message; those of one name are one row.
 */
export class Stubs {
  readonly hot = new Map<string, HotStub>();
  /** When streams of a name were subscribed to. */
  readonly cold = new Map<string, SubscriptionLog>();
  readonly #scheduler: SchedulerLike;

  constructor(scheduler: SchedulerLike) {
    this.#scheduler = scheduler;
  }

  /** The names of those that somebody is subscribed to. */
  get open(): readonly string[] {
    const hot = [...this.hot.values()].filter(({ value$ }) => value$.observed).map(({ name }) => name);
    return [...hot, ...Array.from(this.cold).flatMap(([name, { open }]) => (open > 0 ? [name] : []))];
  }

  makeHot(name: string, values: Values, error: unknown): Observable<unknown> {
    const stub = this.hot.get(name) ?? { name, legend: new Legend(values), error, value$: new Subject<unknown>() };
    this.hot.set(name, stub);
    return stub.value$;
  }

  makeCold(name: string, marbles: string, values: Values, error: unknown): Observable<unknown> {
    const meaning = { name, legend: new Legend(values), error };
    const { marks } = readMarbles(marbles);
    const log = this.cold.get(name) ?? new SubscriptionLog(() => this.#scheduler.now());
    this.cold.set(name, log);
    const source$ = new Observable((subscriber) => {
      for (const mark of marks) {
        const happen = () => {
          tell(subscriber, mark, meaning);
        };
        subscriber.add(this.#scheduler.schedule(happen, mark.atMs));
      }
    });
    return source$.pipe(log.noted());
  }

  /** Emits a value of a row on its hot stream, if that exists already. */
  give(name: string, mark: Mark): void {
    const stub = this.hot.get(name);
    if (stub) tell(stub.value$, mark, stub);
  }
}

function tell(observer: Observer<unknown>, { letter }: Mark, { name, legend, error }: Meaning): void {
  if (letter === COMPLETE) observer.complete();
  else if (letter === ERROR) observer.error(error);
  else observer.next(legend.valueOf(letter, name));
}
