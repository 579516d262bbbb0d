import { Observable, defer, tap } from 'rxjs';
import { PublishError, type Broker } from './broker.js';
import type { Metrics } from './metrics.js';
import type { World } from './world.js';

/** A broker whose publishes and status are counted. */
export function measuredBroker(broker: Broker, metrics: Metrics, { scheduler }: World): Broker {
  return {
    ...broker,
    status$: broker.status$.pipe(
      tap(({ up }) => {
        metrics.brokerUp(up);
      }),
    ),
    publish: (room, payload): Observable<never> =>
      defer(() => {
        const startMs = scheduler.now();
        const count = (outcome: 'ok' | 'unavailable' | 'unconfirmed') => {
          metrics.published(outcome, (scheduler.now() - startMs) / 1000);
        };
        return broker.publish(room, payload).pipe(
          tap({
            complete: () => {
              count('ok');
            },
            error: (error: unknown) => {
              count(error instanceof PublishError ? error.code : 'unconfirmed');
            },
          }),
        );
      }),
  };
}
