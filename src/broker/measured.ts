import { Observable, tap, type Subscriber } from 'rxjs';
import { PublishError, type Broker } from './broker.js';
import type { Metrics } from '../metrics.js';
import { Stage } from '../operators/stage.js';
import type { World } from '../world.js';

/** A broker whose publishes and status are counted. */
export function measuredBroker(broker: Broker, metrics: Metrics, { scheduler }: World): Broker {
  return {
    events$: broker.events$,
    subscribe: (room) => broker.subscribe(room),
    status$: broker.status$.pipe(
      tap(({ up }) => {
        metrics.brokerUp(up);
      }),
    ),
    publish: (room, payload) =>
      new Observable((subscriber) => broker.publish(room, payload).subscribe(new Measuring(subscriber, metrics, scheduler))),
  };
}

class Measuring extends Stage<never, never> {
  readonly #metrics: Metrics;
  readonly #clock: World['scheduler'];
  readonly #startMs: number;

  constructor(output: Subscriber<never>, metrics: Metrics, clock: World['scheduler']) {
    super(output);
    this.#metrics = metrics;
    this.#clock = clock;
    this.#startMs = clock.now();
  }

  protected override take(): void {
    // Nothing comes of a publish.
  }

  protected override _error(error: unknown): void {
    this.#count(error instanceof PublishError ? error.code : 'unconfirmed');
    super._error(error);
  }

  protected override _complete(): void {
    this.#count('ok');
    super._complete();
  }

  #count(outcome: 'ok' | 'unavailable' | 'unconfirmed'): void {
    this.#metrics.published(outcome, (this.#clock.now() - this.#startMs) / 1000);
  }
}
