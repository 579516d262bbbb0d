import {
  BehaviorSubject,
  Subject,
  defer,
  exhaustMap,
  ignoreElements,
  interval,
  map,
  merge,
  startWith,
  tap,
  type Observable,
} from 'rxjs';
import type { BrokerStatus } from '../broker/broker.js';
import type { Logger } from '../log.js';
import { gatherTurn } from '../operators/gatherTurn.js';
import type { Connect, RedisLink } from './link.js';
import { answered } from './master.js';
import { hostOf, type RedisAddress, type Server } from './server.js';
import { SlotTable, readMoved, readSlots } from './slot-table.js';
import { RedisWatch } from './watch.js';
import type { World } from '../world.js';

/** How often the cluster is asked who owns what. */
const POLL_INTERVAL_MS = 2000;

/** A server's own word about a slot holds for so long against what others, who have not heard yet, say. */
const HINT_MS = 10_000;

/** Redis does not take a channel here and now, but somewhere or some time. */
const ELSEWHERE = /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b/;

export interface RedisTopologyOptions {
  readonly address: RedisAddress;
  readonly connect: Connect;
  readonly channelPrefix: string;
  readonly servers: readonly Server[];
  /** Servers that were found out, to be asked before the others. */
  readonly known: () => readonly Server[];
  readonly timeoutMs: number;
  readonly world: World;
  readonly log: Logger;
}

/** Who owns which slot of a cluster, as one of its servers tells every 2 s and as others correct it. */
export class RedisTopology {
  /** The present table, at first an empty one; then each that was told, changed or not. */
  readonly table$ = new BehaviorSubject(new SlotTable());
  /** What the cluster said last, without corrections. */
  #answer: SlotTable | undefined;
  readonly #options: RedisTopologyOptions;
  readonly #watch: RedisWatch;
  readonly #hinted$ = new Subject<number>();
  readonly #hints = new Map<number, { readonly server: Server; readonly untilMs: number }>();

  constructor(options: RedisTopologyOptions) {
    this.#options = options;
    const { known, servers } = options;
    this.#watch = new RedisWatch({
      ...options,
      name: `${options.channelPrefix}:topology`,
      servers: () => [...new Set([...known(), ...servers])],
    });
  }

  /** Down where nobody can be asked, or a slot has no owner. */
  get status$(): Observable<BrokerStatus> {
    return merge(this.#watch.link$, this.table$).pipe(map(() => this.status));
  }

  /** Keeps a connection to one server of the cluster until unsubscribed. Never completes or errors. */
  connected(): Observable<never> {
    const { world } = this.#options;
    const corrected$ = this.#hinted$.pipe(
      gatherTurn(world.turnEnd$),
      tap(() => {
        this.#tell();
      }),
      ignoreElements(),
    );
    const asked$ = this.#watch.connected((link, server) =>
      interval(POLL_INTERVAL_MS, world.scheduler).pipe(
        startWith(0),
        exhaustMap(() => this.#ask(link, server)),
      ),
    );
    return merge(corrected$, asked$);
  }

  /**
   * What a server said when it refused a command: `MOVED` names the right one.
   *
   * @returns whether another server, or the same one later, will take it
   */
  hint(reason: string): boolean {
    const moved = readMoved(reason);
    if (moved) {
      this.#hints.set(moved.slot, { server: moved.server, untilMs: this.#options.world.scheduler.now() + HINT_MS });
      this.#hinted$.next(moved.slot);
    }
    return ELSEWHERE.test(reason);
  }

  #ask(link: RedisLink, server: Server): Observable<unknown> {
    const { timeoutMs, world } = this.#options;
    return defer(() => link.ask('CLUSTER', 'SLOTS')).pipe(
      tap((answer) => {
        this.#answer = readSlots(answer, hostOf(server));
        this.#forgetHints(this.#answer);
        this.#tell();
      }),
      answered(link, 'CLUSTER SLOTS', timeoutMs, world),
    );
  }

  #tell(): void {
    if (this.#answer === undefined) return;
    this.table$.next(this.#answer.corrected(new Map([...this.#hints].map(([slot, { server }]) => [slot, server]))));
  }

  /** Those that are too old, and those that the cluster has confirmed. */
  #forgetHints(answer: SlotTable): void {
    const nowMs = this.#options.world.scheduler.now();
    for (const [slot, { server, untilMs }] of this.#hints) {
      if (untilMs <= nowMs || answer.ownerOf(slot) === server) this.#hints.delete(slot);
    }
  }

  get status(): BrokerStatus {
    const { value } = this.#watch.link$;
    if (this.#answer === undefined)
      return { up: false, reason: `cluster: ${'reason' in value ? value.reason : 'not asked yet'}` };
    const { unowned } = this.table$.value;
    return unowned === 0 ? { up: true } : { up: false, reason: `cluster: ${unowned} slots have no owner` };
  }
}
