import { NEVER, Observable, Subject, Subscription, defer, share, takeUntil, timer, type Subscriber } from 'rxjs';
import { PublishError } from '../broker/broker.js';
import type { Hub, MembershipEvent } from './hub.js';
import type { Logger } from '../runtime/log.js';
import type { Metrics } from '../runtime/metrics.js';
import type { Runtime } from '../runtime/runtime.js';
import { OperatorSubscriber } from '../operators/operator-subscriber.js';
import { PresenceChanges, type PresenceChange } from './presence-changes.js';
import { costOf } from './publish-budget.js';
import { RoundTrip } from './round-trip.js';
import { writeServerMessage } from './server-message.js';

/** The most publishes under way at once. Each takes at most 1 KB, because names are bounded. */
export const PRESENCE_WINDOW = 256;

/** The most publishes that are started in one turn of the event loop. They take about 2 ms; chat is served between the turns. */
const PUBLISHES_PER_TURN = 128;

/** The most changes that are kept, about 25 MB. Beyond them, changes are discarded and counted. */
const MAX_CHANGES = 100_000;

/** The interval at which failed changes are retried. */
export const RETRY_INTERVAL_MS = 1000;

/** The failed changes that are retried in an interval. After one has succeeded, the next interval retries all of them. */
const RETRIES_AT_ONCE = 256;

/** The parts of a pod that presence uses. */
export interface PresenceOptions {
  readonly hub: Hub;
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/**
 * Publishes a `presence` message to a room when a connection joins or leaves it.
 *
 * The number of publishes under way, and the number started in one turn, are bounded; the latest status of each connection and room waits.
 * A failed publish is retried with the status of that moment. Discarded changes, of which there are too many or which are left at the
 * end, are counted in `chat_presence_lost_total`.
 *
 * @param maxMembers in a room with more members on this pod, no presence is published: it would cost more than chat
 * @param until$ joins and leaves after its first value are not published
 * @returns never emits; completes when `until$` has emitted or the hub is closed, and each earlier change was published or has failed
 */
export function presence(pod: PresenceOptions, maxMembers: number, until$: Observable<unknown> = NEVER): Observable<never> {
  return new Observable((subscriber) =>
    pod.hub.membership$.pipe(takeUntil(until$)).subscribe(new PresencePublisher(subscriber, pod, maxMembers)),
  );
}

/** The presence publisher of a pod. It runs until it is unsubscribed. */
export class Presence extends Subscription {
  readonly #stopped$ = new Subject<void>();
  readonly #publisher$: Observable<never>;

  constructor(pod: PresenceOptions, maxMembers: number) {
    super();
    this.#publisher$ = presence(pod, maxMembers, this.#stopped$).pipe(share({ resetOnComplete: false }));
    this.add(this.#publisher$.subscribe());
  }

  /** Cold: stops presence for later joins and leaves, and completes when the earlier ones were published or have failed. */
  readonly stop$ = defer(() => {
    this.#stopped$.next();
    return this.#publisher$;
  });
}

class PresencePublisher extends OperatorSubscriber<MembershipEvent, never> {
  readonly #pod: PresenceOptions;
  readonly #maxMembers: number;
  readonly #changes = new PresenceChanges(MAX_CHANGES);
  readonly #underWay = new Set<PresenceRoundTrip>();
  /** Subscribed from the first publish of a turn to the end of the turn. */
  #turn: Subscription | undefined;
  #startedInTurn = 0;
  #isStarting = false;
  #retry: Subscription | undefined;
  /** Whether a change that had failed was published since the last interval. */
  #hasRecovered = false;
  #isEnding = false;

  constructor(output: Subscriber<never>, pod: PresenceOptions, maxMembers: number) {
    super(output);
    this.#pod = pod;
    this.#maxMembers = maxMembers;
    output.add(() => {
      this.#end();
    });
  }

  protected override take(event: MembershipEvent): void {
    if (event.members > this.#maxMembers) this.#changes.forget(event);
    else this.#countLost(this.#changes.add(event));
    this.#start();
  }

  protected override _complete(): void {
    this.unsubscribe();
    this.#isEnding = true;
    this.#countLost(this.#changes.giveUpFailed());
    this.#start();
  }

  published(trip: PresenceRoundTrip): void {
    this.#underWay.delete(trip);
    if (trip.change.hasFailed) this.#hasRecovered = true;
    this.#changes.published(trip.change);
    this.#start();
  }

  failed(trip: PresenceRoundTrip, error: unknown): void {
    this.#underWay.delete(trip);
    const { change } = trip;
    this.#pod.log.debug({ err: error, room: change.room }, 'presence was not published');
    this.#changes.fail(change, error instanceof PublishError && error.code === 'unavailable');
    if (this.#isEnding) this.#countLost(this.#changes.giveUpFailed());
    this.#start();
  }

  /** Starts as many publishes as the bounds allow. A loop, because a broker may settle a publish synchronously. */
  #start(): void {
    if (this.#isStarting) return;
    this.#isStarting = true;
    while (this.#underWay.size < PRESENCE_WINDOW && this.#startedInTurn < PUBLISHES_PER_TURN) {
      const change = this.#changes.take();
      if (change === undefined) break;
      this.#publish(change);
    }
    this.#isStarting = false;
    this.#pod.metrics.presenceWaiting(this.#changes.size);
    if (this.#changes.failed > 0) this.#retry ??= this.#retryLater();
    if (this.#isEnding && this.#changes.size === 0) this.output.complete();
  }

  #publish(change: PresenceChange): void {
    const { hub, runtime } = this.#pod;
    const { room, clientId, identity, status } = change;
    this.#startedInTurn += 1;
    this.#turn ??= runtime.turnEnd$.subscribe(() => {
      this.#turn = undefined;
      this.#startedInTurn = 0;
      this.#start();
    });
    const id = runtime.newId();
    const envelope = writeServerMessage({ type: 'presence', room, data: { status, clientId, identity }, id }, runtime);
    const trip = new PresenceRoundTrip(this, change, id, costOf(envelope));
    this.#underWay.add(trip);
    hub.publish(room, envelope, trip);
  }

  #retryLater(): Subscription {
    return timer(RETRY_INTERVAL_MS, this.#pod.runtime.scheduler).subscribe(() => {
      this.#retry = undefined;
      this.#changes.retry(this.#hasRecovered ? this.#changes.failed : RETRIES_AT_ONCE);
      this.#hasRecovered = false;
      this.#start();
    });
  }

  #countLost(count: number): void {
    if (count > 0) this.#pod.metrics.presenceLost(count);
  }

  #end(): void {
    this.#turn?.unsubscribe();
    this.#retry?.unsubscribe();
    for (const trip of this.#underWay) trip.unsubscribe();
    this.#countLost(this.#changes.size);
    this.#pod.metrics.presenceWaiting(0);
  }
}

/** One presence publish under way. */
class PresenceRoundTrip extends RoundTrip {
  readonly change: PresenceChange;
  readonly #publisher: Pick<PresencePublisher, 'published' | 'failed'>;

  constructor(publisher: Pick<PresencePublisher, 'published' | 'failed'>, change: PresenceChange, id: string, bytes: number) {
    super(id, bytes);
    this.#publisher = publisher;
    this.change = change;
  }

  protected override succeeded(): void {
    this.#publisher.published(this);
  }

  protected override failed(error: unknown): void {
    this.#publisher.failed(this, error);
  }
}
