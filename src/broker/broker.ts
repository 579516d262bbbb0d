import type { Observable } from 'rxjs';
import type { Publication } from '../hub/publication.js';

/** A subscription was replaced: what was published to these rooms meanwhile may be missing. */
export interface Gap {
  readonly kind: 'gap';
  /** Absent: every room, the global one too. */
  readonly rooms?: ReadonlySet<string>;
  /** The last proof that the lost subscription lived, in milliseconds since the epoch. */
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
   * Unsubscribing leaves the room. Never completes or errors. At most one subscription per room at a time.
   */
  subscribe(room: string): Observable<boolean>;
  /** Cold: publishes when subscribed to and completes when the broker has accepted it. Errors with `PublishError` and nothing else. */
  publish(room: string, payload: string): Observable<never>;
}
