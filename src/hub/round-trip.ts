import { PublishError } from '../broker/broker.js';
import type { PublishOutcome } from '../runtime/metrics.js';
import { LeanSubscriber } from '../operators/operator-subscriber.js';
import type { PublishBudget, UnderWay } from './publish-budget.js';

/** The part of a room that a publish under way calls. */
export interface ReturnRoom {
  /** Whether what is published now will return. */
  readonly isConfirmed: boolean;
  expect(trip: RoundTrip): void;
  forget(trip: RoundTrip): void;
}

/** The part of the hub that a publish under way calls. */
export interface RoundTripHost {
  readonly budget: PublishBudget<RoundTrip>;
  /** The broker has accepted or refused the publish. */
  answered(trip: RoundTrip, outcome: PublishOutcome): void;
}

/**
 * One publish under way: until the broker has accepted it and, if this pod is subscribed to the room, its message has returned.
 *
 * An accepted message may still wait in the broker's output buffer for this pod. Flow control that counted only acceptances could fill
 * that buffer until the broker drops the subscription.
 *
 * To save memory and time, it is itself the subscriber to the broker's publish.
 */
export abstract class RoundTrip extends LeanSubscriber<never> implements UnderWay {
  readonly id: string;
  /** Its share of the budget, as counted by `costOf`. */
  readonly bytes: number;
  /** On the monotonic clock, in milliseconds. */
  startedMs = 0;
  /** Set by `PublishBudget.overdue`. */
  overdueSinceMs: number | undefined;
  #host: RoundTripHost | undefined;
  /** Undefined if the message is not expected to return, or has returned. */
  #room: ReturnRoom | undefined;
  #isAccepted = false;
  /** Set if the message will not return and the broker has not answered yet. */
  #lostReason: string | undefined;

  /**
   * @param id the id of the message
   * @param bytes as counted by `costOf`
   */
  constructor(id: string, bytes: number) {
    super();
    this.id = id;
    this.bytes = bytes;
  }

  /** Called when the message was accepted and has returned. Its share of the budget is free again. */
  protected abstract succeeded(): void;

  /** Called when the publish has failed or its message will not return. Its share of the budget is free again. */
  protected abstract failed(error: unknown): void;

  /** Called by the hub. @param room undefined if this pod is not in the room; nothing returns from a room that is not confirmed */
  begin(host: RoundTripHost, startedMs: number, room: ReturnRoom | undefined): void {
    this.#host = host;
    this.startedMs = startedMs;
    host.budget.take(this);
    if (room?.isConfirmed !== true) return;
    this.#room = room;
    room.expect(this);
  }

  get isAccepted(): boolean {
    return this.#isAccepted;
  }

  /** The message has arrived at this pod. The room no longer expects it. */
  returned(): void {
    this.#room = undefined;
    if (this.#isAccepted) this.#succeed();
  }

  /**
   * The message will not return, although the broker may have accepted it; the room gets a gap. If the broker has not answered yet, the
   * publish stays under way until it does.
   */
  lost(reason: string): void {
    if (this.#isAccepted) this.#fail(new PublishError('unconfirmed', reason));
    else this.#lostReason ??= reason;
  }

  override unsubscribe(): void {
    if (this.closed) return;
    super.unsubscribe();
    this.#room?.forget(this);
    this.#room = undefined;
    this.#host?.budget.give(this);
  }

  protected override _error(error: unknown): void {
    this.#host?.answered(this, error instanceof PublishError ? error.code : 'unconfirmed');
    this.#fail(error);
  }

  protected override _complete(): void {
    this.#host?.answered(this, 'ok');
    this.#isAccepted = true;
    if (this.#room === undefined) this.#succeed();
    else if (this.#lostReason !== undefined) this.lost(this.#lostReason);
  }

  #succeed(): void {
    this.unsubscribe();
    this.succeeded();
  }

  #fail(error: unknown): void {
    this.unsubscribe();
    this.failed(error);
  }
}
