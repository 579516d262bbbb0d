import { NEVER, Observable, Subject, Subscription, defer, share, takeUntil, timer, type Subscriber } from 'rxjs';
import { PublishError } from '../broker/broker.js';
import type { MembershipEvent } from './hub.js';
import { Stage } from '../operators/stage.js';
import type { Pod } from '../pod.js';
import { PresenceChanges, type PresenceChange } from './presence-changes.js';
import { costOf } from './publish-budget.js';
import { RoundTrip } from './round-trip.js';
import { writeServerMessage } from './server-message.js';

/** The most publishes that are under way at once. Names are bounded, and so are their bytes: at most 1 KB each, 256 KB in all. */
export const PRESENCE_WINDOW = 256;

/** The most publishes that are begun in one turn of the event loop, which takes about 2 ms: chat is served between the turns. */
const BEGUN_PER_TURN = 128;

/** The most changes that are kept: 25 MB, and the names of rooms and connections that are gone. Beyond them, changes are given up and counted. */
const MAX_CHANGES = 100_000;

/** How often it is tried whether changes that failed can be published now. */
export const RETRY_INTERVAL_MS = 1000;

/** The number of failed changes with which that is tried. One that succeeds brings all others back at the next interval. */
const TRIED_AT_ONCE = 256;

/**
 * Publishes to each room who joins and leaves it.
 *
 * A bounded number of publishes is under way and is begun in a turn; meanwhile the latest status of each connection and room waits.
 * A publish that fails is repeated, with the status of that moment, when Redis accepts publishes again. A change that is given up is
 * counted (`chat_presence_lost_total`): beyond the most changes that are kept, and at the end.
 *
 * @param maxMembers nothing is told in a room with more members on this pod: there, presence would cost more than chat
 * @param until$ joins and leaves after it emits are not told; those before it still are
 * @returns never emits; completes when `until$` has emitted, or the hub is closed, and what was noted before has been told or has failed
 */
export function presence(pod: Pod, maxMembers: number, until$: Observable<unknown> = NEVER): Observable<never> {
  return new Observable((subscriber) =>
    pod.hub.membership$.pipe(takeUntil(until$)).subscribe(new Telling(subscriber, pod, maxMembers)),
  );
}

/** A pod's presence, which is told until it is unsubscribed from. */
export class Presence extends Subscription {
  readonly #stopped$ = new Subject<void>();
  readonly #telling$: Observable<never>;

  constructor(pod: Pod, maxMembers: number) {
    super();
    this.#telling$ = presence(pod, maxMembers, this.#stopped$).pipe(share({ resetOnComplete: false }));
    this.add(this.#telling$.subscribe());
  }

  /** Cold: from now on joins and leaves are not told. Completes when those before have been told, or have failed. */
  readonly stop$ = defer(() => {
    this.#stopped$.next();
    return this.#telling$;
  });
}

class Telling extends Stage<MembershipEvent, never> {
  readonly #pod: Pod;
  readonly #maxMembers: number;
  readonly #changes = new PresenceChanges(MAX_CHANGES);
  readonly #underWay = new Set<Publishing>();
  /** Runs from the first publish of a turn to the turn's end. */
  #turn: Subscription | undefined;
  #begunInTurn = 0;
  #isBeginning = false;
  #retry: Subscription | undefined;
  /** A change that had failed was told since the last interval. */
  #hasRecovered = false;
  #isEnding = false;

  constructor(output: Subscriber<never>, pod: Pod, maxMembers: number) {
    super(output);
    this.#pod = pod;
    this.#maxMembers = maxMembers;
    output.add(() => {
      this.#end();
    });
  }

  protected override take(event: MembershipEvent): void {
    if (event.members > this.#maxMembers) this.#changes.forget(event);
    else this.#giveUp(this.#changes.note(event));
    this.#begin();
  }

  protected override _complete(): void {
    this.unsubscribe();
    this.#isEnding = true;
    this.#giveUp(this.#changes.giveUpFailed());
    this.#begin();
  }

  told(publishing: Publishing): void {
    this.#underWay.delete(publishing);
    if (publishing.change.hasFailed) this.#hasRecovered = true;
    this.#changes.told(publishing.change);
    this.#begin();
  }

  failed(publishing: Publishing, error: unknown): void {
    this.#underWay.delete(publishing);
    const { change } = publishing;
    this.#pod.log.debug({ err: error, room: change.room }, 'presence was not published');
    this.#changes.fail(change, error instanceof PublishError && error.code === 'unavailable');
    if (this.#isEnding) this.#giveUp(this.#changes.giveUpFailed());
    this.#begin();
  }

  /** Begins as many publishes as may be; in a loop, since a broker may settle one before `subscribe` returns. */
  #begin(): void {
    if (this.#isBeginning) return;
    this.#isBeginning = true;
    while (this.#underWay.size < PRESENCE_WINDOW && this.#begunInTurn < BEGUN_PER_TURN) {
      const change = this.#changes.take();
      if (change === undefined) break;
      this.#publish(change);
    }
    this.#isBeginning = false;
    this.#pod.metrics.presenceWaiting(this.#changes.size);
    if (this.#changes.failed > 0) this.#retry ??= this.#retryLater();
    if (this.#isEnding && this.#changes.size === 0) this.output.complete();
  }

  #publish(change: PresenceChange): void {
    const { hub, world } = this.#pod;
    const { room, clientId, identity, status } = change;
    this.#begunInTurn += 1;
    this.#turn ??= world.turnEnd$.subscribe(() => {
      this.#turn = undefined;
      this.#begunInTurn = 0;
      this.#begin();
    });
    const id = world.newId();
    const envelope = writeServerMessage({ type: 'presence', room, data: { status, clientId, identity }, id }, world);
    const publishing = new Publishing(this, change, id, costOf(envelope));
    this.#underWay.add(publishing);
    hub.publish(room, envelope, publishing);
  }

  #retryLater(): Subscription {
    return timer(RETRY_INTERVAL_MS, this.#pod.world.scheduler).subscribe(() => {
      this.#retry = undefined;
      this.#changes.retry(this.#hasRecovered ? this.#changes.failed : TRIED_AT_ONCE);
      this.#hasRecovered = false;
      this.#begin();
    });
  }

  #giveUp(count: number): void {
    if (count > 0) this.#pod.metrics.presenceLost(count);
  }

  #end(): void {
    this.#turn?.unsubscribe();
    this.#retry?.unsubscribe();
    for (const publishing of this.#underWay) publishing.unsubscribe();
    this.#giveUp(this.#changes.size);
    this.#pod.metrics.presenceWaiting(0);
  }
}

/** One publish under way. */
class Publishing extends RoundTrip {
  readonly change: PresenceChange;
  readonly #telling: Pick<Telling, 'told' | 'failed'>;

  constructor(telling: Pick<Telling, 'told' | 'failed'>, change: PresenceChange, id: string, bytes: number) {
    super(id, bytes);
    this.#telling = telling;
    this.change = change;
  }

  protected override succeeded(): void {
    this.#telling.told(this);
  }

  protected override failed(error: unknown): void {
    this.#telling.failed(this, error);
  }
}
