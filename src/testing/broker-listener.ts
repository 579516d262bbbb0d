import assert from 'node:assert/strict';
import { Subject, Subscription, filter, firstValueFrom, lastValueFrom, startWith, throwError, timeout } from 'rxjs';
import type { Broker, BrokerEvent, BrokerStatus } from '../broker/broker.js';

/** An event that a listener observed. */
export type Noticed =
  | BrokerEvent
  | { readonly kind: 'status'; readonly status: BrokerStatus }
  | { readonly kind: 'confirmation'; readonly room: string; readonly confirmed: boolean };

/** How long to wait for an expected event, by default. */
export const PATIENCE_MS = 10_000;

/** Records everything that a broker emits: subscribed to its events and status from its construction to `end`. */
export class Listener {
  readonly broker: Broker;
  /** All observed events, in order. */
  readonly noticed: Noticed[] = [];
  readonly #texts = new Map<string, string[]>();
  readonly #rooms = new Map<string, Subscription>();
  readonly #unconfirmed = new Set<string>();
  /** Why subscriptions to rooms ended; each is thrown once. */
  readonly #failures = new Map<string, Error>();
  readonly #whole = new Subscription();
  readonly #change$ = new Subject<void>();
  readonly #patienceMs: number;

  constructor(broker: Broker, patienceMs = PATIENCE_MS) {
    this.broker = broker;
    this.#patienceMs = patienceMs;
    this.#whole.add(
      broker.events$.subscribe((event) => {
        if (event.kind === 'publication') this.#collect(event.room, event.payload.toString('utf8'));
        this.#notice(event);
      }),
    );
    this.#whole.add(
      broker.status$.subscribe((status) => {
        this.#notice({ kind: 'status', status });
      }),
    );
  }

  /** The payloads that came for a room so far, as texts. */
  texts(room: string): readonly string[] {
    return this.#texts.get(room) ?? [];
  }

  /** The last status. */
  get status(): BrokerStatus | undefined {
    return this.noticed.filter((one) => one.kind === 'status').at(-1)?.status;
  }

  /** Subscribes to a room and resolves when that is confirmed; rejects with the error of the subscription. */
  async join(room: string): Promise<void> {
    this.#unconfirmed.add(room);
    this.#rooms.set(
      room,
      this.broker.subscribe(room).subscribe({
        next: (confirmed) => {
          if (confirmed) this.#unconfirmed.delete(room);
          else this.#unconfirmed.add(room);
          this.#notice({ kind: 'confirmation', room, confirmed });
        },
        error: (error: Error) => {
          this.#unconfirmed.delete(room);
          this.#failures.set(room, error);
          this.#change$.next();
        },
      }),
    );
    await this.until(`the subscription to ${JSON.stringify(room)}`, () => !this.#unconfirmed.has(room));
    const failure = this.#failures.get(room);
    this.#failures.delete(room);
    if (failure !== undefined) throw failure;
  }

  leave(room: string): void {
    this.#rooms.get(room)?.unsubscribe();
    this.#rooms.delete(room);
    this.#unconfirmed.delete(room);
  }

  /** Its status is up, and every room that it joined and did not leave is confirmed. */
  get isWhole(): boolean {
    return this.status?.up === true && this.#unconfirmed.size === 0;
  }

  /** Resolves when the broker has accepted it; rejects with its `PublishError`. */
  async publish(room: string, text: string): Promise<void> {
    await lastValueFrom(this.broker.publish(room, text), { defaultValue: undefined });
  }

  /** Resolves when a text has come for a room. */
  hears(room: string, text: string): Promise<void> {
    return this.until(`${JSON.stringify(text.slice(0, 50))} in ${JSON.stringify(room)}`, () => this.texts(room).includes(text));
  }

  /** Resolves when what was noticed is enough, looking again at each change; rejects with an `AssertionError` when it never is. */
  async until(what: string, isEnough: () => boolean): Promise<void> {
    const message = `${what} did not come in ${this.#patienceMs} ms`;
    const late = () => throwError(() => new assert.AssertionError({ message }));
    await firstValueFrom(
      this.#change$.pipe(startWith(undefined), filter(isEnough), timeout({ first: this.#patienceMs, with: late })),
    );
  }

  /** Leaves every room, and the broker. */
  end(): void {
    for (const room of this.#rooms.values()) room.unsubscribe();
    this.#whole.unsubscribe();
  }

  #collect(room: string, text: string): void {
    const texts = this.#texts.get(room);
    if (texts) texts.push(text);
    else this.#texts.set(room, [text]);
  }

  #notice(one: Noticed): void {
    this.noticed.push(one);
    this.#change$.next();
  }
}
