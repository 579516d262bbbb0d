import type { Observable } from 'rxjs';

/**
 * Messages to these rooms may be missing: a subscription was replaced, a pod published to another server than that of this pod's
 * subscription, or a message was dropped for its size.
 */
export interface Gap {
  readonly kind: 'gap';
  /** The reason in the message to clients; `subscription` if absent. */
  readonly reason?: 'subscription' | 'too_large';
  /** Absent for all rooms, including the global one. */
  readonly rooms?: ReadonlySet<string>;
  /** Nothing that was published before is missing; in milliseconds since the epoch. */
  readonly sinceMs: number;
}

/** A publication to a room that is subscribed to, or a gap. */
export type BrokerEvent = Publication | Gap;

/** Whether publishing and receiving work, and if not, why. */
export type BrokerStatus = { readonly up: true } | { readonly up: false; readonly reason: string };

/** A publish failed: `unavailable` was not published, `unconfirmed` may have been (docs/protocol.md, "Errors"). */
export class PublishError extends Error {
  readonly code: 'unavailable' | 'unconfirmed';

  constructor(code: 'unavailable' | 'unconfirmed', reason: string) {
    super(reason);
    this.code = code;
  }
}

/** The broker refuses a single room, as Redis does if its user has no access to the room's channel. Other rooms are not affected. */
export class RoomRefusedError extends Error {}

/**
 * Connects the pods: anything that can deliver a publication to every pod with members in its room, in one order per room.
 *
 * Rules, checked by `brokerContract` (testing/brokerContract.ts): each publication of a confirmed subscription is delivered at most
 * once and in the order of its room, the pod's own, too; after a lost subscription is replaced, a `Gap` comes before anything else;
 * nothing waits without bound.
 */
export interface Broker {
  /** Everything that arrives for this pod. Subscribing connects, unsubscribing disconnects; for one subscriber, the hub. Never errors. */
  readonly events$: Observable<BrokerEvent>;
  /** The present status, then each change. */
  readonly status$: Observable<BrokerStatus>;
  /**
   * Cold: subscribes to a room. Emits true when that is confirmed, and false when it is lost until it is confirmed again.
   * Unsubscribing leaves the room. Never completes. Errors only with `RoomRefusedError`, if the broker will never give the room to this
   * pod. A room may have one subscription at a time.
   */
  subscribe(room: string): Observable<boolean>;
  /** Cold: publishes on subscription, and completes when the broker has accepted it. Errors only with `PublishError`. */
  publish(room: string, payload: string): Observable<never>;
}

/** The bytes of an envelope, published to a room (or to `GLOBAL_ROOM`) by a pod or by any other service. */
export interface Publication {
  readonly kind: 'publication';
  readonly room: string;
  readonly payload: Buffer;
}
