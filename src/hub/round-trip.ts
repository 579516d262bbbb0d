import type { Subscriber } from 'rxjs';
import { PublishError } from '../broker/broker.js';
import { Stage } from '../operators/stage.js';
import type { PublishBudget } from './publish-budget.js';
import type { Room } from './room.js';

/**
 * One publish under way: completes when the broker has accepted it and it has come back to this pod, where the pod hears its room.
 *
 * A publish that the broker has accepted may still wait in the broker's buffer for this pod's subscription. Whoever counts only
 * acceptances can fill that buffer until the broker drops the subscription.
 */
export class RoundTrip extends Stage<never, never> {
  readonly id: string;
  /** By the monotonic clock. */
  readonly startedMs: number;
  /** Set by `PublishBudget.overdue`. */
  overdueSinceMs: number | undefined;
  readonly #bytes: number;
  readonly #budget: PublishBudget;
  /** Undefined where nothing is expected to come back, or has come. */
  #room: Room | undefined;
  #isAccepted = false;
  /** Set where it cannot be expected back and the broker has not answered yet. */
  #lostReason: string | undefined;
  #isOver = false;

  /**
   * @param id the message's
   * @param bytes as `costOf` counts them
   */
  constructor(output: Subscriber<never>, id: string, bytes: number, budget: PublishBudget, startedMs: number) {
    super(output);
    this.id = id;
    this.startedMs = startedMs;
    this.#bytes = bytes;
    this.#budget = budget;
    budget.take(this, bytes);
  }

  /** @param room the room as this pod has it; undefined where it has none. Nothing comes back from a room that is not confirmed. */
  expectedIn(room: Room | undefined): void {
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
    if (this.#isAccepted) this.#complete();
  }

  /**
   * It will not come back, though the broker may have accepted it: the receivers get a gap. Until the broker has answered, it stays
   * under way there, and in the window of its connection.
   */
  lost(reason: string): void {
    if (!this.#isAccepted) {
      this.#lostReason ??= reason;
      return;
    }
    this.#end();
    this.output.error(new PublishError('unconfirmed', reason));
  }

  override unsubscribe(): void {
    if (this.closed) return;
    this.#end();
    super.unsubscribe();
  }

  protected override take(): void {
    // Nothing comes of a publish.
  }

  protected override _error(error: unknown): void {
    this.#end();
    super._error(error);
  }

  protected override _complete(): void {
    this.#isAccepted = true;
    if (this.#room === undefined) this.#complete();
    else if (this.#lostReason !== undefined) this.lost(this.#lostReason);
  }

  #complete(): void {
    this.#end();
    this.output.complete();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#room?.forget(this);
    this.#room = undefined;
    this.#budget.give(this, this.#bytes);
  }
}
