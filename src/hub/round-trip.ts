import { PublishError } from '../broker/broker.js';
import type { PublishOutcome } from '../metrics.js';
import { Sink } from '../operators/stage.js';
import type { PublishBudget } from './publish-budget.js';
import type { Room } from './room.js';

/** The hub, as a publish under way sees it. */
export interface RoundTripHost {
  readonly budget: PublishBudget;
  /** The broker has answered. */
  answered(trip: RoundTrip, outcome: PublishOutcome): void;
}

/**
 * One publish under way, until the broker has accepted it and it has come back to this pod, where the pod hears its room.
 *
 * A publish that the broker has accepted may still wait in the broker's buffer for this pod's subscription. Whoever counts only
 * acceptances can fill that buffer until the broker drops the subscription.
 *
 * It is itself the subscriber to the broker's publish: a message in a small room costs one object, not a chain of them.
 */
export abstract class RoundTrip extends Sink<never> {
  readonly id: string;
  /** What it takes of the budget, as `costOf` counts. */
  readonly bytes: number;
  /** By the monotonic clock. */
  startedMs = 0;
  /** Set by `PublishBudget.overdue`. */
  overdueSinceMs: number | undefined;
  #host: RoundTripHost | undefined;
  /** Undefined where nothing is expected to come back, or has come. */
  #room: Room | undefined;
  #isAccepted = false;
  /** Set where it cannot be expected back and the broker has not answered yet. */
  #lostReason: string | undefined;

  /**
   * @param id the message's
   * @param bytes as `costOf` counts them
   */
  constructor(id: string, bytes: number) {
    super();
    this.id = id;
    this.bytes = bytes;
  }

  /** It was accepted and has come back. It takes nothing of the budget any more. */
  protected abstract succeeded(): void;

  /** It failed, or will not come back. It takes nothing of the budget any more. */
  protected abstract failed(error: unknown): void;

  /** For the hub. @param room the room as this pod has it; undefined where it has none. Nothing comes back from a room that is not confirmed. */
  begin(host: RoundTripHost, startedMs: number, room: Room | undefined): void {
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

  /** Its message has arrived at this pod. The room has forgotten it already. */
  returned(): void {
    this.#room = undefined;
    if (this.#isAccepted) this.#succeed();
  }

  /**
   * It will not come back, though the broker may have accepted it: the receivers get a gap. Until the broker has answered, it stays
   * under way there, and in the window of its connection.
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
