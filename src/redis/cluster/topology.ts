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
import { bufferTurn } from '../../operators/bufferTurn.js';
import { hostOf, type Server } from '../address.js';
import type { RedisLink } from '../link.js';
import { readClocks, readingBefore, type ClockReading } from '../liveness/clock-reading.js';
import { QueryConnection, type ConnectionState, type QueryConnectionOptions } from '../liveness/query-connection.js';
import { replyTimeout } from '../reply.js';
import { majorityOf, readEndpoints, readMoved, readNodes, serverAt, type ClusterView } from './cluster-view.js';
import { mergeViews, ownedSlots, type KnownNode, type ViewReport } from './merge-views.js';
import { SlotTable } from './slots.js';

/** The interval at which each server is asked for its view. */
export const POLL_INTERVAL_MS = 1500;

/** All servers have heard of the winner of an election within this. */
const GOSSIP_MS = 400;

/** The limit of servers that are asked. */
const MAX_ASKED = 100;

/** A redirection overrides the views of other servers, which may not know of the move yet, for this long. */
const REDIRECT_MS = 10_000;

/** Without a majority for this long, the owners are unknown. */
const STALE_MS = 5000;

/** Error replies for a channel that another server takes, or the same one later. */
const ELSEWHERE = /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b/;

export interface RedisTopologyOptions extends Omit<QueryConnectionOptions, 'name' | 'servers'> {
  readonly channelPrefix: string;
  /** Some servers of the cluster, from which the others are found. */
  readonly servers: readonly Server[];
  readonly timeoutMs: number;
}

/** A MOVED reply for one slot. */
interface Redirect {
  readonly server: Server;
  readonly by: Server;
  readonly atMs: number;
}

/** A server that is polled. */
interface Poll {
  readonly connection: QueryConnection;
  readonly subscription: Subscription;
}

interface ConfirmedReport extends ViewReport {
  /** The server's view contains every change of owners up to then. */
  readonly confirmedAt: ClockReading;
}

/**
 * The slot owners of a cluster. Every master is asked for its view, and the views are merged by config epoch, since a single server
 * may be cut off from the others without knowing it yet. The view of a server without contact to a majority of the masters is ignored.
 */
export class RedisTopology {
  /** The present table, empty at first; then each other one. */
  readonly table$ = new BehaviorSubject(new SlotTable());
  readonly #options: RedisTopologyOptions;
  readonly #polls = new Map<Server, Poll>();
  /** The latest views that are not ignored, by the server that was asked. */
  readonly #reports = new Map<Server, ConfirmedReport>();
  readonly #redirects = new Map<number, Redirect>();
  readonly #redirected$ = new Subject<void>();
  readonly #answered$ = new Subject<void>();
  #nodes: readonly KnownNode[] = [];
  /** The table of the views, without redirections; undefined before the first. */
  #merged: SlotTable | undefined;
  #confirmedAt: ClockReading;
  #hasMajority = false;

  constructor(options: RedisTopologyOptions) {
    this.#options = options;
    this.#confirmedAt = this.#now();
  }

  /**
   * The latest time at which certainly no server but those of the present table owned a slot: a majority of the masters was asked then
   * or later, and only a majority can promote a replica. Before the first views: when the topology was made.
   */
  get confirmedAt(): ClockReading {
    return this.#confirmedAt;
  }

  /** Down if no server's view is known, if a slot has no owner, and if no majority has answered for some seconds. */
  get status$(): Observable<BrokerStatus> {
    return merge(this.#answered$, this.table$).pipe(map(() => this.status));
  }

  get status(): BrokerStatus {
    if (this.#merged === undefined) return { up: false, reason: `cluster: ${this.#whyUnknown}` };
    const { unowned } = this.table$.value;
    if (unowned > 0) return { up: false, reason: `cluster: ${unowned} slots have no owner` };
    if (!this.#hasMajority && this.#now().ms - this.#confirmedAt.ms > STALE_MS)
      return { up: false, reason: 'cluster: no majority of its masters answers' };
    return { up: true };
  }

  /** Keeps a connection to each master until unsubscribed. Never completes or errors. */
  connected(): Observable<never> {
    const { turnEnd$ } = this.#options.runtime;
    return new Observable((subscriber) => {
      this.#confirmedAt = this.#now();
      subscriber.add(() => {
        for (const { subscription } of this.#polls.values()) subscription.unsubscribe();
        this.#polls.clear();
      });
      const redirected$ = this.#redirected$.pipe(
        bufferTurn(turnEnd$),
        tap(() => {
          this.#emitTable();
        }),
      );
      const changed$ = merge(this.#answered$, this.table$).pipe(
        bufferTurn(turnEnd$),
        tap(() => {
          this.#pollMasters();
        }),
      );
      subscriber.add(merge(redirected$, changed$).subscribe());
    });
  }

  /**
   * Takes the error reply to a command; `MOVED` names the owner of the slot.
   *
   * @returns whether another server takes the channel, or the same one later
   */
  redirected(reason: string, by: Server): boolean {
    const moved = readMoved(reason);
    if (moved) {
      this.#redirects.set(moved.slot, { server: moved.server, by, atMs: this.#now().ms });
      this.#redirected$.next();
    }
    return ELSEWHERE.test(reason);
  }

  #now(): ClockReading {
    return readClocks(this.#options.runtime);
  }

  /** Polls all masters; the configured servers, too, while no majority of the masters answers. */
  #pollMasters(): void {
    const { owners } = this.table$.value;
    const all = [...owners, ...(this.#hasMajority ? [] : this.#options.servers)];
    const wanted = new Set(all.slice(0, MAX_ASKED));
    for (const [server, { subscription }] of this.#polls) {
      if (wanted.has(server)) continue;
      subscription.unsubscribe();
      this.#polls.delete(server);
    }
    for (const server of wanted) if (!this.#polls.has(server)) this.#poll(server);
  }

  #poll(server: Server): void {
    const { runtime, channelPrefix } = this.#options;
    const connection = new QueryConnection({ ...this.#options, name: `${channelPrefix}:topology`, servers: () => [server] });
    const polled$ = connection.connected((link) => {
      const endpoints = new Endpoints();
      return interval(POLL_INTERVAL_MS, runtime.scheduler).pipe(
        startWith(0),
        exhaustMap(() => this.#askView(link, server, endpoints)),
        // A server that cannot be reached does not count for the majority.
        finalize(() => {
          this.#reports.delete(server);
          this.#countMajority();
        }),
      );
    });
    const state$ = connection.state$.pipe(
      tap(() => {
        this.#answered$.next();
      }),
    );
    const subscription = merge(polled$, state$).subscribe();
    this.#polls.set(server, { connection, subscription });
  }

  #askView(link: RedisLink, server: Server, endpoints: Endpoints): Observable<never> {
    const { timeoutMs, runtime } = this.#options;
    const asked = this.#now();
    const confirmedAt = readingBefore(asked, GOSSIP_MS);
    const ask$ = (subcommand: string) =>
      defer(() => from(link.call('CLUSTER', subcommand))).pipe(
        replyTimeout<unknown>(link, `CLUSTER ${subcommand}`, timeoutMs, runtime),
      );
    return ask$('NODES').pipe(
      map(readNodes),
      concatMap((view) => {
        if (endpoints.areKnown(view)) return of(view);
        const learned$ = ask$('SLOTS').pipe(
          tap((reply) => {
            endpoints.learn(view, readEndpoints(reply, hostOf(server)));
          }),
          ignoreElements(),
        );
        return concat(learned$, of(view));
      }),
      tap((view) => {
        this.#take(server, { confirmedAt, askedMs: asked.ms, view, serverOf: ({ id }) => endpoints.of(id) });
      }),
      ignoreElements(),
    );
  }

  #take(server: Server, report: ConfirmedReport): void {
    if (report.view.hasMajority) this.#reports.set(server, report);
    else this.#reports.delete(server);
    if (this.#reports.size > 0) this.#merge();
    // After the table: for rooms that move with it, the time that was confirmed before this report counts.
    this.#countMajority();
    this.#answered$.next();
  }

  #merge(): void {
    this.#nodes = mergeViews(this.#nodes, [...this.#reports.values()]);
    const ranges = ownedSlots(this.#nodes);
    const isNew = this.#merged?.hasRanges(ranges) !== true;
    if (isNew) this.#merged = new SlotTable(ranges);
    if (this.#forgetRedirects() || isNew) this.#emitTable();
  }

  /** Forgets redirections that are too old, that the views contain, or whose server has reported since. Returns whether there were any. */
  #forgetRedirects(): boolean {
    const nowMs = this.#now().ms;
    const before = this.#redirects.size;
    for (const [slot, { server, by, atMs }] of this.#redirects) {
      const hasReported = (this.#reports.get(by)?.askedMs ?? -Infinity) > atMs;
      if (hasReported || atMs + REDIRECT_MS <= nowMs || this.#merged?.ownerOf(slot) === server) this.#redirects.delete(slot);
    }
    return this.#redirects.size !== before;
  }

  #emitTable(): void {
    if (this.#merged === undefined) return;
    this.table$.next(this.#merged.corrected(new Map([...this.#redirects].map(([slot, { server }]) => [slot, server]))));
  }

  /** Finds since when a majority of the masters knows of no owners but those of the table. */
  #countMajority(): void {
    const masters = new Set(this.#nodes.filter(({ slots }) => slots.length > 0).map(({ id }) => id));
    // By node id, since one server may be asked at two addresses.
    const votes = new Map<string, ClockReading>();
    for (const { view, confirmedAt } of this.#reports.values()) {
      if (masters.has(view.id) && (votes.get(view.id)?.ms ?? -Infinity) < confirmedAt.ms) votes.set(view.id, confirmedAt);
    }
    const newest = [...votes.values()].sort((a, b) => b.ms - a.ms);
    const last = newest[majorityOf(Math.min(masters.size, MAX_ASKED)) - 1];
    this.#hasMajority = last !== undefined;
    if (last !== undefined && last.ms > this.#confirmedAt.ms) this.#confirmedAt = last;
  }

  get #whyUnknown(): string {
    const states: ConnectionState[] = [...this.#polls.values()].map(({ connection }) => connection.state$.value);
    const reasons = states.flatMap((state) => ('reason' in state ? [state.reason] : []));
    if (reasons.length < states.length) return 'no server that knows a majority of its masters has answered';
    return reasons[0] ?? 'not asked yet';
  }
}

/** The addresses at which clients connect to the nodes of a cluster, by one server's replies. */
class Endpoints {
  readonly #servers = new Map<string, Server>();
  /** The addresses of CLUSTER NODES from then, by node id. */
  readonly #addresses = new Map<string, string>();
  /** Nodes that CLUSTER SLOTS left out: replicas that seemed to have failed. */
  readonly #guessed = new Set<string>();

  /** No node is new or has another address, and none that owns slots is guessed. */
  areKnown({ nodes }: ClusterView): boolean {
    return nodes.every(
      ({ id, address, slots }) => this.#addresses.get(id) === address && (slots.length === 0 || !this.#guessed.has(id)),
    );
  }

  learn({ nodes }: ClusterView, servers: ReadonlyMap<string, Server>): void {
    this.#servers.clear();
    this.#addresses.clear();
    this.#guessed.clear();
    for (const { id, address } of nodes) {
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
