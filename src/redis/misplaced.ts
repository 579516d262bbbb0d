/**
 * A time in which publishes may have been misplaced: taken by a server that was the master no longer, so that only who still
 * listened there heard them, and confirmed to their senders all the same. Both in milliseconds since the epoch.
 */
export interface Span {
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** A publisher's connection that is over. */
export interface PastLife extends Span {
  /** Where it led, as far as that is known; another place is another server. */
  readonly place: string;
  /** Its server has proven to be the master no longer. */
  readonly demoted: boolean;
  /** Something was published in the span, which begins when the server was last known to be the master. */
  readonly published: boolean;
}

/**
 * What one pod misplaced and has not told the others yet. They cannot know it: their own gaps were told when they left the old
 * server, and this pod may have been later than they.
 */
export class Misplaced {
  #past: PastLife | undefined;
  #untold: Span | undefined;

  /** A connection is over. */
  ended(past: PastLife): void {
    if (past.published) this.#past = past;
  }

  /**
   * A new one has begun.
   *
   * @returns what all pods are to be told now, until `told`
   */
  begun(place: string): Span | undefined {
    const past = this.#past;
    this.#past = undefined;
    if (past && (past.demoted || past.place !== place)) this.#untold = union(past, this.#untold ?? past);
    return this.#untold;
  }

  /** They have been. */
  told(): void {
    this.#untold = undefined;
  }
}

function union(one: Span, other: Span): Span {
  return { sinceMs: Math.min(one.sinceMs, other.sinceMs), untilMs: Math.max(one.untilMs, other.untilMs) };
}

/** As it goes through the channel of all pods. */
export function writeSpan({ sinceMs, untilMs }: Span): string {
  return `${sinceMs} ${untilMs}`;
}

/** Undefined for anything else: whoever may publish to the channel may publish nonsense. */
export function readSpan(payload: Buffer): Span | undefined {
  const [, since, until] = /^(\d{1,15}) (\d{1,15})$/.exec(payload.toString()) ?? [];
  return since === undefined || until === undefined ? undefined : { sinceMs: Number(since), untilMs: Number(until) };
}
