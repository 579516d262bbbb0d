import {
  BehaviorSubject,
  Observable,
  Subject,
  concat,
  concatMap,
  defer,
  exhaustMap,
  finalize,
  from,
  ignoreElements,
  interval,
  map,
  merge,
  of,
  startWith,
  tap,
  type Subscription,
} from 'rxjs';
import type { BrokerStatus } from '../../broker/broker.js';
import type { Logger } from '../../runtime/log.js';
import { bufferTurn } from '../../operators/bufferTurn.js';
import { mergeClaims, rangesOf, type PlacedClaim, type Testimony } from './claims.js';
import { majorityOf, readEndpoints, readMoved, readNodes, serverAt, type ClusterView } from './cluster-view.js';
import type { Connect, RedisLink } from '../link.js';
import { answered } from '../master.js';
import { hostOf, type RedisAddress, type Server } from '../server.js';
import { SlotTable } from './slot-table.js';
import { RedisWatch, type Asked } from '../watch.js';
import { momentBefore, presentMoment, type Moment } from '../liveness/moment.js';
import type { Runtime } from '../../runtime/runtime.js';

/** How often each server is asked who owns what. */
export const POLL_INTERVAL_MS = 1500;

/** A server that wins an election tells all others at once; they have heard it within this. */
const NEWS_MS = 400;

/** At most so many servers are asked. */
const MAX_ASKED = 100;

/** A server's word about a slot holds for so long against what others, who have not heard yet, say. */
const HINT_MS = 10_000;

/** After so long without a majority nobody knows who owns what. */
const STALE_MS = 5000;

/** Redis does not take a channel here and now, but somewhere or some time. */
const ELSEWHERE = /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b/;

export interface RedisTopologyOptions {
  readonly address: RedisAddress;
  readonly connect: Connect;
  readonly channelPrefix: string;
  /** Some servers of the cluster, from which the others are found. */
  readonly servers: readonly Server[];
  readonly timeoutMs: number;
  readonly runtime: Runtime;
  readonly log: Logger;
}

/** A server's word about one slot. */
interface Hint {
  readonly server: Server;
  readonly by: Server;
  readonly atMs: number;
}

/** A server that is asked again and again. */
interface Asking {
  readonly watch: RedisWatch;
  readonly life: Subscription;
}

interface DatedTestimony extends Testimony {
  /** Whoever owned a slot then, the server has heard of it. */
  readonly certain: Moment;
}

/**
 * The owners of the slots of a cluster. Every master is asked, and what they say is merged by epoch, since one server alone may be cut off
 * from the others and not know it yet. A server that has no contact with a majority of the masters is not believed.
 */
export class RedisTopology {
  /** The present table, at first an empty one; then each other one. */
  readonly table$ = new BehaviorSubject(new SlotTable());
  readonly #options: RedisTopologyOptions;
  readonly #asking = new Map<Server, Asking>();
  /** Of the servers that answered last and are believed, by address. */
  readonly #testimonies = new Map<Server, DatedTestimony>();
  readonly #hints = new Map<number, Hint>();
  readonly #hinted$ = new Subject<void>();
  readonly #answered$ = new Subject<void>();
  #claims: readonly PlacedClaim[] = [];
  /** What the servers say, without corrections. */
  #told: SlotTable | undefined;
  #agreed: Moment;
  #hasMajority = false;

  constructor(options: RedisTopologyOptions) {
    this.#options = options;
    this.#agreed = this.#now();
  }

  /**
   * The latest moment of which it is known that no server but those of the present table owned a slot: a majority of the masters was
   * asked then or later, and a replica is promoted by a majority only. Before anybody was asked: when the topology was made.
   */
  get agreed(): Moment {
    return this.#agreed;
  }

  /** Down where nobody who is believed can be asked, where a slot has no owner, and where no majority has been heard for long. */
  get status$(): Observable<BrokerStatus> {
    return merge(this.#answered$, this.table$).pipe(map(() => this.status));
  }

  get status(): BrokerStatus {
    if (this.#told === undefined) return { up: false, reason: `cluster: ${this.#whyNotAsked}` };
    const { unowned } = this.table$.value;
    if (unowned > 0) return { up: false, reason: `cluster: ${unowned} slots have no owner` };
    if (!this.#hasMajority && this.#now().ms - this.#agreed.ms > STALE_MS)
      return { up: false, reason: 'cluster: no majority of its masters answers' };
    return { up: true };
  }

  /** Keeps a connection to each master until unsubscribed. Never completes or errors. */
  connected(): Observable<never> {
    const { turnEnd$ } = this.#options.runtime;
    return new Observable((subscriber) => {
      this.#agreed = this.#now();
      subscriber.add(() => {
        for (const { life } of this.#asking.values()) life.unsubscribe();
        this.#asking.clear();
      });
      const hinted$ = this.#hinted$.pipe(
        bufferTurn(turnEnd$),
        tap(() => {
          this.#correct();
        }),
      );
      const changed$ = merge(this.#answered$, this.table$).pipe(
        bufferTurn(turnEnd$),
        tap(() => {
          this.#askThoseThatMatter();
        }),
      );
      subscriber.add(merge(hinted$, changed$).subscribe());
    });
  }

  /**
   * What a server said when it refused a command: `MOVED` names the right one.
   *
   * @returns whether another server, or the same one later, will take it
   */
  hint(reason: string, by: Server): boolean {
    const moved = readMoved(reason);
    if (moved) {
      this.#hints.set(moved.slot, { server: moved.server, by, atMs: this.#now().ms });
      this.#hinted$.next();
    }
    return ELSEWHERE.test(reason);
  }

  #now(): Moment {
    return presentMoment(this.#options.runtime);
  }

  /** All masters; the servers of the configuration too, as long as no majority of the masters answers. */
  #askThoseThatMatter(): void {
    const { owners } = this.table$.value;
    const all = [...owners, ...(this.#hasMajority ? [] : this.#options.servers)];
    const wanted = new Set(all.slice(0, MAX_ASKED));
    for (const [server, { life }] of this.#asking) {
      if (wanted.has(server)) continue;
      life.unsubscribe();
      this.#asking.delete(server);
    }
    for (const server of wanted) if (!this.#asking.has(server)) this.#ask(server);
  }

  #ask(server: Server): void {
    const { runtime, channelPrefix } = this.#options;
    const watch = new RedisWatch({ ...this.#options, name: `${channelPrefix}:topology`, servers: () => [server] });
    const asked$ = watch.connected((link) => {
      const endpoints = new Endpoints();
      return interval(POLL_INTERVAL_MS, runtime.scheduler).pipe(
        startWith(0),
        exhaustMap(() => this.#question(link, server, endpoints)),
        // A server that cannot be reached has no vote.
        finalize(() => {
          this.#testimonies.delete(server);
          this.#count();
        }),
      );
    });
    const tried$ = watch.link$.pipe(
      tap(() => {
        this.#answered$.next();
      }),
    );
    const life = merge(asked$, tried$).subscribe();
    this.#asking.set(server, { watch, life });
  }

  #question(link: RedisLink, server: Server, endpoints: Endpoints): Observable<never> {
    const { timeoutMs, runtime } = this.#options;
    const asked = this.#now();
    const certain = momentBefore(asked, NEWS_MS);
    const ask$ = (question: string) =>
      defer(() => from(link.ask('CLUSTER', question))).pipe(answered<unknown>(link, `CLUSTER ${question}`, timeoutMs, runtime));
    return ask$('NODES').pipe(
      map(readNodes),
      concatMap((view) => {
        if (endpoints.fit(view)) return of(view);
        const learned$ = ask$('SLOTS').pipe(
          tap((answer) => {
            endpoints.learn(view, readEndpoints(answer, hostOf(server)));
          }),
          ignoreElements(),
        );
        return concat(learned$, of(view));
      }),
      tap((view) => {
        this.#hear(server, { certain, askedMs: asked.ms, view, serverOf: ({ id }) => endpoints.of(id) });
      }),
      ignoreElements(),
    );
  }

  #hear(server: Server, testimony: DatedTestimony): void {
    if (testimony.view.hasMajority) this.#testimonies.set(server, testimony);
    else this.#testimonies.delete(server);
    if (this.#testimonies.size > 0) this.#merge();
    // Not before the table: what moves with it was agreed upon at the time before this answer.
    this.#count();
    this.#answered$.next();
  }

  #merge(): void {
    this.#claims = mergeClaims(this.#claims, [...this.#testimonies.values()]);
    const ranges = rangesOf(this.#claims);
    const isNew = this.#told?.hasRanges(ranges) !== true;
    if (isNew) this.#told = new SlotTable(ranges);
    if (this.#forgetHints() || isNew) this.#correct();
  }

  /** Forgets those that are too old, that the servers have confirmed, and whose server has been asked since. Returns whether there were any. */
  #forgetHints(): boolean {
    const nowMs = this.#now().ms;
    const before = this.#hints.size;
    for (const [slot, { server, by, atMs }] of this.#hints) {
      const isAsked = (this.#testimonies.get(by)?.askedMs ?? -Infinity) > atMs;
      if (isAsked || atMs + HINT_MS <= nowMs || this.#told?.ownerOf(slot) === server) this.#hints.delete(slot);
    }
    return this.#hints.size !== before;
  }

  #correct(): void {
    if (this.#told === undefined) return;
    this.table$.next(this.#told.corrected(new Map([...this.#hints].map(([slot, { server }]) => [slot, server]))));
  }

  /** Since when a majority of the masters knows of no other owner than those of the table. */
  #count(): void {
    const masters = new Set(this.#claims.filter(({ slots }) => slots.length > 0).map(({ id }) => id));
    // One server may be asked under two names.
    const votes = new Map<string, Moment>();
    for (const { view, certain } of this.#testimonies.values()) {
      if (masters.has(view.id) && (votes.get(view.id)?.ms ?? -Infinity) < certain.ms) votes.set(view.id, certain);
    }
    const newest = [...votes.values()].sort((a, b) => b.ms - a.ms);
    const last = newest[majorityOf(Math.min(masters.size, MAX_ASKED)) - 1];
    this.#hasMajority = last !== undefined;
    if (last !== undefined && last.ms > this.#agreed.ms) this.#agreed = last;
  }

  get #whyNotAsked(): string {
    const all: Asked[] = [...this.#asking.values()].map(({ watch }) => watch.link$.value);
    const reasons = all.flatMap((asked) => ('reason' in asked ? [asked.reason] : []));
    if (reasons.length < all.length) return 'no server that knows a majority of its masters has answered';
    return reasons[0] ?? 'not asked yet';
  }
}

/** Under which addresses clients connect to the servers of a cluster, as one server says. */
class Endpoints {
  readonly #servers = new Map<string, Server>();
  /** What the cluster wrote when that was learned, by id. */
  readonly #addresses = new Map<string, string>();
  /** Servers that CLUSTER SLOTS left out: replicas that were taken for dead. */
  readonly #guessed = new Set<string>();

  /** No server is new, none has another address, and those of the owners of slots are certain. */
  fit({ claims }: ClusterView): boolean {
    return claims.every(
      ({ id, address, slots }) => this.#addresses.get(id) === address && (slots.length === 0 || !this.#guessed.has(id)),
    );
  }

  learn({ claims }: ClusterView, servers: ReadonlyMap<string, Server>): void {
    this.#servers.clear();
    this.#addresses.clear();
    this.#guessed.clear();
    for (const { id, address } of claims) {
      this.#addresses.set(id, address);
      if (!servers.has(id)) this.#guessed.add(id);
      const server = servers.get(id) ?? serverAt(address);
      if (server !== undefined) this.#servers.set(id, server);
    }
  }

  of(id: string): Server | undefined {
    return this.#servers.get(id);
  }
}
