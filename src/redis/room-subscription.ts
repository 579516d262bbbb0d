import type { Subscriber, Unsubscribable } from 'rxjs';
import type { Moment } from './liveness/clock-reading.js';

/** A room that the hub wants. It is no Subscription in order to be small: a pod may have 200,000 rooms. */
export class Wanted implements Unsubscribable {
  readonly room: string;
  readonly subscriber: Subscriber<boolean>;
  /** Redis has confirmed it on the present connection. */
  confirmed = false;
  /** What comes for it is passed on. */
  open = false;
  /** Of a room that was open once and is not now: the last proof that it was heard. What it may have missed is yet to be told. */
  lostSince: Moment | undefined;
  readonly #onLeft: Leaving;

  constructor(room: string, subscriber: Subscriber<boolean>, lostSince: Moment | undefined, onLeft: Leaving) {
    this.room = room;
    this.subscriber = subscriber;
    this.lostSince = lostSince;
    this.#onLeft = onLeft;
  }

  unsubscribe(): void {
    this.#onLeft.left(this);
  }
}

/** Whoever hears that a room is no longer wanted. */
interface Leaving {
  left(wanted: Wanted): void;
}

/** The rooms that Redis has not confirmed. Most are: no copy is made of the 200,000 that a pod may have. */
export function unconfirmed(all: Iterable<Wanted>): readonly string[] {
  const rooms: string[] = [];
  for (const { room, confirmed } of all) if (!confirmed) rooms.push(room);
  return rooms;
}
