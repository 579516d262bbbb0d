import type { Observable } from 'rxjs';

/**
 * Messages to these rooms may be missing: a subscription was replaced, a pod spoke to another server than this one, or what arrived
 * was dropped for its size.
 */
export interface Gap {
  readonly kind: 'gap';
  /** As the client is told; absent, `subscription`. */
  readonly reason?: 'subscription' | 'too_large';
  /** Absent: every room, the global one too. */
  readonly rooms?: ReadonlySet<string>;
  /** Nothing that was published before is missing; in milliseconds since the epoch. */
  readonly sinceMs: number;
}

/** What arrives: a publication to a room that was subscribed to, or word that some may be missing. */
export type BrokerEvent = Publication | Gap;

/** Whether publishing and receiving work, and if not, why. */
export type BrokerStatus = { readonly up: true } | { readonly up: false; readonly reason: string };

/** A publish failed: `unavailable` was not published, `unconfirmed` may have been (spec: error codes). */
export class PublishError extends Error {
  readonly code: 'unavailable' | 'unconfirmed';

  constructor(code: 'unavailable' | 'unconfirmed', reason: string) {
    super(reason);
    this.code = code;
  }
}

/** The broker refuses one room, as Redis does whose user may not hear its channel; all others are as they were. */
export class RoomRefusedError extends Error {}

/**
 * What joins the pods: anything that can carry a publication to every pod which has its room, in one order per room.
 *
 * Rules, checked by `brokerContract` (testing/brokerContract.ts): at most once, each publication of a confirmed subscription in the
 * order of its room, also the pod's own; where a subscription replaced a lost one, a `Gap` before anything else comes from the new one; nothing waits
 * without bound.
 */
export interface Broker {
  /** Everything that arrives for this pod. Subscribing connects, unsubscribing leaves; for one subscriber, the hub. Never errors. */
  readonly events$: Observable<BrokerEvent>;
  /** The present status, then each change. */
  readonly status$: Observable<BrokerStatus>;
  /**
   * Cold: subscribes to a room; true when that is confirmed, false when the subscription is lost until true comes again.
   * Unsubscribing leaves the room. Never completes. Errors with `RoomRefusedError` where the broker will never give the room to this
   * pod, and with nothing else. At most one subscription per room at a time.
   */
  subscribe(room: string): Observable<boolean>;
  /** Cold: publishes when subscribed to and completes when the broker has accepted it. Errors with `PublishError` and nothing else. */
  publish(room: string, payload: string): Observable<never>;
}

/** What the broker delivers: the bytes of an envelope, published to a room (or to `GLOBAL_ROOM`) by a pod or by any other service. */
export interface Publication {
  readonly kind: 'publication';
  readonly room: string;
  readonly payload: Buffer;
}
