import type { Subscriber } from 'rxjs';
import type { Batch } from './frame.js';
import { Stage } from '../operators/stage.js';
import type { Room } from './room.js';

/** A connection wants to be in rooms, or out of them. */
export interface MembershipChange {
  readonly kind: 'join' | 'leave';
  readonly rooms: readonly string[];
}

/**
 * A member receives the batches of its rooms, and word of the rooms themselves: it is in them (all of them at once, when the last is
 * confirmed), it is out of them, or the broker refuses them.
 */
export type MemberEvent = { readonly kind: 'joined' | 'left' | 'refused'; readonly rooms: readonly string[] } | Batch;

/** Rooms that a member waits to be let into together. */
export interface Wait {
  readonly member: Member;
  readonly rooms: readonly Room[];
  /** How many of them are not confirmed. */
  unconfirmed: number;
}

const NOTHING: readonly Wait[] = [];

/** Who carries out what a member wants: the hub. */
export interface MemberHost {
  change(member: Member, change: MembershipChange): void;
  leaveAll(member: Member): void;
}

/** A connection in its rooms: takes what it wants, emits what it hears, and leaves every room with its last subscriber. */
export class Member extends Stage<MembershipChange, MemberEvent> {
  readonly clientId: string;
  /** `from` of what it publishes. */
  readonly identity: string;
  /** The rooms it asked for; it is in those that have it as a member, which one that is not confirmed yet does not. */
  rooms: readonly Room[] = [];
  /** What it asked for that is not confirmed yet. */
  waits: readonly Wait[] = NOTHING;
  /** What this turn has for it so far, where it is in several rooms that spoke. */
  pending: Batch | undefined;
  readonly #host: MemberHost;

  constructor(output: Subscriber<MemberEvent>, clientId: string, identity: string, host: MemberHost) {
    super(output);
    this.clientId = clientId;
    this.identity = identity;
    this.#host = host;
  }

  receive(event: MemberEvent): void {
    this.output.next(event);
  }

  override unsubscribe(): void {
    if (this.closed) return;
    try {
      super.unsubscribe();
    } finally {
      this.#host.leaveAll(this);
    }
  }

  protected override take(change: MembershipChange): void {
    this.#host.change(this, change);
  }

  /** Who wants nothing more stays where it is. */
  protected override _complete(): void {
    // Nothing ends.
  }
}
