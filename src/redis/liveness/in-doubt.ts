import { earlierMoment, type Moment } from './clock-reading.js';

/** A publisher's connection that is over. */
export interface PastLife {
  /** Since then publishes may have been misplaced: the server was last known to be the master then, or a little later. */
  readonly since: Moment;
  /** Where it led, as far as that is known; another place is another server. */
  readonly place: string;
  /** Its server has proven to be the master no longer. */
  readonly demoted: boolean;
  /** Something was published since then. */
  readonly published: boolean;
}

/** Publishes that may have been misplaced, of which the other pods are to be told. */
export interface Untold {
  /** Another one with each that comes to it. */
  readonly id: string;
  readonly since: Moment;
}

/** An untold span is announced this many times: a pod that has no subscription for a moment would miss a single announcement. */
const ANNOUNCEMENTS = 4;

/**
 * What one pod misplaced and has not told the others yet: publishes that a server took which was the master no longer, so that only
 * pods that still listened there heard them, while their senders got them confirmed. The other pods cannot know it: their own gaps
 * were told when they left the old server, and this pod may have been later than they.
 */
export class Misplaced {
  readonly #newId: () => string;
  #past: PastLife | undefined;
  #untold: Untold | undefined;
  #timesLeft = 0;

  constructor(newId: () => string) {
    this.#newId = newId;
  }

  /** What the other pods are to be told now. */
  get untold(): Untold | undefined {
    return this.#untold;
  }

  /** A connection is over. */
  ended(past: PastLife): void {
    if (past.published) this.#past = past;
  }

  /** It was not known that the server was the master no longer, and now it is. */
  suspect(): void {
    if (this.#past) this.#past = { ...this.#past, demoted: true };
  }

  /** A new connection has begun. */
  begun(place: string): void {
    const past = this.#past;
    this.#past = undefined;
    if (past === undefined || (!past.demoted && past.place === place)) return;
    this.#untold = { id: this.#newId(), since: earlierMoment(past.since, this.#untold?.since ?? past.since) };
    this.#timesLeft = ANNOUNCEMENTS;
  }

  /** Redis has accepted an announcement of it. */
  told({ id }: Untold): void {
    if (this.#untold?.id !== id) return;
    this.#timesLeft -= 1;
    if (this.#timesLeft === 0) this.#untold = undefined;
  }
}

/** Word from another pod that it misplaced publishes. */
export interface Announcement {
  /** The same word may come more than once; undefined where the pod's version gives it none. */
  readonly id: string | undefined;
  /** How long before the announcement was sent the first of them may have been published, by the clocks of the pod that sends it. */
  readonly ageMs: number;
  /** The time that the first of them may bear, by the clock of the pod that sends it, in milliseconds since the epoch. */
  readonly wallMs: number;
}

/** Clocks of two machines run at rates that differ by less than this. */
const MOST_DRIFT = 0.001;

/** As it goes through the channel of all pods: the format's version, the id, the age and the time. */
export function writeAnnouncement({ id, ageMs, wallMs }: Announcement & { readonly id: string }): string {
  return `2 ${id} ${Math.ceil(ageMs * (1 + MOST_DRIFT))} ${Math.floor(wallMs)}`;
}

const VERSION_2 = /^2 ([\w-]{1,64}) (\d{1,15}) (-?\d{1,15})$/;

/** The first version named the beginning and the end of the span, both by the other pod's clock: it was as long ago as it lasted, or longer. */
const VERSION_1 = /^(\d{1,15}) (\d{1,15})$/;

/** Undefined for anything else: whoever may publish to the channel may publish nonsense. */
export function readAnnouncement(payload: Buffer): Announcement | undefined {
  const text = payload.toString();
  const [, id, age, wall] = VERSION_2.exec(text) ?? [];
  if (age !== undefined && wall !== undefined) return { id, ageMs: Number(age), wallMs: Number(wall) };
  const [, since, until] = VERSION_1.exec(text) ?? [];
  if (since === undefined || until === undefined) return undefined;
  return { id: undefined, ageMs: Math.max(0, Number(until) - Number(since)), wallMs: Number(since) };
}
