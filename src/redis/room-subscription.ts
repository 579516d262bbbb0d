import type { Subscriber, Unsubscribable } from 'rxjs';
import { earlierReading, type ClockReading } from './liveness/clock-reading.js';

/** A room that a pod subscribes to. It is no RxJS `Subscription`, to be small: a pod may have 200,000 rooms. */
export class RoomSubscription implements Unsubscribable {
  readonly room: string;
  readonly subscriber: Subscriber<boolean>;
  /** Redis has confirmed the SUBSCRIBE on the present connection. */
  isConfirmed = false;
  /** Its messages are passed on. */
  isOpen = false;
  /** Set while it is not open but was open before: what was published since then may be missing, and needs a gap. */
  lostSince: ClockReading | undefined;
  readonly #owner: Owner;

  constructor(room: string, subscriber: Subscriber<boolean>, lostSince: ClockReading | undefined, owner: Owner) {
    this.room = room;
    this.subscriber = subscriber;
    this.lostSince = lostSince;
    this.#owner = owner;
  }

  unsubscribe(): void {
    this.#owner.unsubscribed(this);
  }
}

/** Removes a subscription; an interface rather than a closure for each room. */
interface Owner {
  unsubscribed(subscription: RoomSubscription): void;
}

/** The rooms that may have missed messages, and since when; undefined if there are none. */
export function lossOf(
  subscriptions: readonly RoomSubscription[],
): { readonly rooms: ReadonlySet<string>; readonly since: ClockReading } | undefined {
  const rooms = new Set<string>();
  let since: ClockReading | undefined;
  for (const { room, lostSince } of subscriptions) {
    if (lostSince === undefined) continue;
    rooms.add(room);
    since = since ? earlierReading(since, lostSince) : lostSince;
  }
  return since && { rooms, since };
}
