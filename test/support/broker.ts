import { Observable, Subject, concat, defer, of, type ObservableInput, from } from 'rxjs';
import type { Broker, BrokerEvent, BrokerStatus } from '../../src/broker/broker.js';

/** A broker that does what a test says, and remembers what it was asked. */
export class ScriptedBroker implements Broker {
  readonly events$ = new Subject<BrokerEvent>();
  readonly status$: Observable<BrokerStatus> = of({ up: true });
  /** Rooms subscribed to at present. */
  readonly subscribed = new Set<string>();
  /** What was published, as `room payload`. */
  readonly published: string[] = [];
  /** How a subscription is confirmed; at once where a test says nothing else. */
  confirm: (room: string) => ObservableInput<boolean> = () => [true];
  /** What becomes of a publish; accepted at once where a test says nothing else. */
  accept: (room: string, payload: string) => ObservableInput<never> = () => [];
  /** Whether what was accepted comes back. Off where a test delivers by itself. */
  returns = false;

  subscribe(room: string): Observable<boolean> {
    return new Observable((subscriber) => {
      this.subscribed.add(room);
      subscriber.add(
        from(this.confirm(room)).subscribe({
          next: (confirmed) => {
            subscriber.next(confirmed);
          },
          error: (error: unknown) => {
            subscriber.error(error);
          },
        }),
      );
      return () => {
        this.subscribed.delete(room);
      };
    });
  }

  publish(room: string, payload: string): Observable<never> {
    return new Observable((subscriber) => {
      this.published.push(`${room} ${payload}`);
      const returned$ = defer(() => {
        if (this.returns) this.events$.next({ kind: 'publication', room, payload: Buffer.from(payload) });
        return [];
      });
      return concat(from(this.accept(room, payload)), returned$).subscribe(subscriber);
    });
  }

  /** Delivers an envelope to a room, as if some other service had published it. */
  deliver(room: string, content: string, timestamp = '1970-01-01T00:00:00.000Z'): void {
    const place = room === '' ? {} : { room };
    const payload = Buffer.from(
      JSON.stringify({ id: 'x', type: 'chat', ...place, from: 'someone', data: { content }, timestamp }),
    );
    this.events$.next({ kind: 'publication', room, payload });
  }
}
