import { BehaviorSubject, Observable, distinctUntilChanged, interval, skip, tap, type Subscription } from 'rxjs';
import { PublishError, type Broker, type BrokerEvent, type BrokerStatus, type Publication } from '../../broker/broker.js';
import { longestWaitMs } from '../../operators/within.js';
import type { Server } from '../address.js';
import type { RedisBrokerOptions } from '../broker.js';
import { roomChannels, type RoomChannels } from '../channels.js';
import { redisLink$ } from '../link.js';
import { readingBefore, type ClockReading } from '../liveness/clock-reading.js';
import { RecentPublishes, readNotice, writeNotice, type SpanInDoubt } from './in-doubt.js';
import { createShard, type Shard } from './shard.js';
import { SlotTable, slotOf } from './slots.js';
import { POLL_INTERVAL_MS, RedisTopology } from './topology.js';

/** A cluster; user, password and TLS are those of `address`, whose host is not used. */
export interface RedisClusterOptions extends Omit<RedisBrokerOptions, 'sentinel'> {
  /** Some servers of the cluster, from which the others are found. */
  readonly servers: readonly Server[];
}

/** The placement of a room: the shard at which it is subscribed to. */
interface Placement {
  readonly room: string;
  readonly slot: number;
  readonly confirmed: (isConfirmed: boolean) => void;
  readonly refused: (error: unknown) => void;
  shard: Shard | undefined;
  subscription: Subscription | undefined;
  /** Set while it has no shard: until when its messages were received. */
  lostSince: ClockReading | undefined;
  /** It has moved to another shard and is not confirmed there yet. */
  isMoving: boolean;
  /** When it was confirmed at the shard that it moved to last. A gap covers everything before that. */
  movedMs: number | undefined;
}

/** A span in doubt of a room, of which the room's other pods need a notice. */
interface UnsentNotice extends SpanInDoubt {
  isPending: boolean;
  /** When the owner of the slot accepted the notice; undefined until then. */
  sentMs: number | undefined;
}

/**
 * A broker on a Redis Cluster with sharded pub/sub: each room is a channel on the server that owns its slot. Each such server has a
 * publisher, a subscription and health checks of its own.
 */
export function redisClusterBroker(options: RedisClusterOptions): Broker {
  const cluster = new RedisCluster(options);
  return {
    events$: cluster.events$,
    status$: cluster.status$.pipe(distinctUntilChanged((a, b) => reasonOf(a) === reasonOf(b))),
    subscribe: (room) => cluster.subscribe(room),
    publish: (room, payload) => cluster.publish(room, payload),
  };
}

class RedisCluster {
  readonly status$ = new BehaviorSubject<BrokerStatus>({ up: false, reason: 'cluster: not connected yet' });
  /** For one subscriber. */
  readonly events$: Observable<BrokerEvent>;
  readonly #options: RedisClusterOptions;
  readonly #channels: RoomChannels;
  readonly #topology: RedisTopology;
  readonly #shards = new Map<Server, Shard>();
  readonly #placements = new Map<string, Placement>();
  readonly #recent = new RecentPublishes();
  /** By room: this pod may have published to a server that was not the owner. */
  readonly #notices = new Map<string, UnsentNotice>();
  readonly #pod: string;
  /** The table of the present shards. */
  #table = new SlotTable();

  constructor(options: RedisClusterOptions) {
    this.#options = options;
    this.#channels = roomChannels(options.channelPrefix);
    this.#topology = new RedisTopology({ ...options, connect: options.connect ?? redisLink$ });
    this.#pod = options.runtime.newId();
    this.events$ = new Observable((subscriber) => {
      const emit = (event: BrokerEvent) => {
        const read = event.kind === 'publication' ? this.#readNotice(event) : event;
        if (read !== undefined) subscriber.next(read);
      };
      subscriber.add(() => {
        for (const { connection } of this.#shards.values()) connection.unsubscribe();
        this.#shards.clear();
      });
      subscriber.add(
        this.#topology.table$.pipe(skip(1)).subscribe((table) => {
          this.#applyTable(table, emit);
        }),
      );
      subscriber.add(this.#watchStatus(this.#topology));
      subscriber.add(this.#topology.connected().subscribe());
      subscriber.add(
        interval(POLL_INTERVAL_MS, options.runtime.scheduler).subscribe(() => {
          this.#retry();
        }),
      );
    });
  }

  subscribe(room: string): Observable<boolean> {
    return new Observable((subscriber) => {
      let wasConfirmed = false;
      const placement: Placement = {
        room,
        slot: this.#slotOf(room),
        confirmed: (isConfirmed) => {
          if (isConfirmed && placement.isMoving) {
            placement.isMoving = false;
            placement.movedMs = this.#options.runtime.scheduler.now();
          }
          if (isConfirmed !== wasConfirmed) subscriber.next((wasConfirmed = isConfirmed));
        },
        refused: (error) => {
          subscriber.error(error);
        },
        shard: undefined,
        subscription: undefined,
        lostSince: undefined,
        isMoving: false,
        movedMs: undefined,
      };
      this.#placements.set(room, placement);
      this.#place(placement);
      return () => {
        this.#placements.delete(room);
        placement.subscription?.unsubscribe();
      };
    });
  }

  publish(room: string, payload: string): Observable<never> {
    const channel = this.#channels.channelOf(room);
    const slot = slotOf(channel);
    return new Observable((subscriber) => {
      const shard = this.#shardOf(slot);
      if (shard === undefined) {
        subscriber.error(new PublishError('unavailable', 'no server of the cluster owns its slot'));
        return undefined;
      }
      if (shard.isCutOff) {
        subscriber.error(new PublishError('unavailable', `${shard.server} is cut off from the majority of the cluster`));
        return undefined;
      }
      // The notice goes first, so that members receive the gap before anything newer.
      if (this.#notices.size > 0) this.#sendNotice(room);
      return shard.node.publisher
        .publish(channel, payload)
        .pipe(
          tap({
            complete: () => {
              this.#confirmed(room, slot, shard.server);
            },
            error: (error: PublishError) => {
              this.#topology.redirected(error.message, shard.server);
            },
          }),
        )
        .subscribe(subscriber);
    });
  }

  #confirmed(room: string, slot: number, server: Server): void {
    const nowMs = this.#options.runtime.scheduler.now();
    if (this.#table.ownerOf(slot) === server) this.#recent.confirmed(room, nowMs);
    // The slot moved while the publish was pending.
    else this.#markInDoubt(room, nowMs);
  }

  /** Moves rooms to the shards of their slots, and removes shards without slots. */
  #applyTable(table: SlotTable, emit: (event: BrokerEvent) => void): void {
    const { owners } = table;
    const before = this.#table;
    this.#table = table;
    const added = [...owners].filter((server) => !this.#shards.has(server)).map((server) => this.#addShard(server));
    for (const placement of this.#placements.values()) this.#place(placement);
    for (const [server, { connection }] of this.#shards) {
      if (owners.has(server)) continue;
      connection.unsubscribe();
      this.#shards.delete(server);
    }
    // After the rooms were placed: the first session then emits one gap for all of them.
    for (const { connection, node, status$ } of added) {
      connection.add(node.events$.subscribe(emit));
      connection.add(this.#watchStatus({ status$ }));
    }
    const hasMoved = (room: string) => {
      const slot = this.#slotOf(room);
      const owner = before.ownerOf(slot);
      return owner !== undefined && owner !== table.ownerOf(slot);
    };
    for (const [room, confirmedMs] of this.#recent.take(hasMoved))
      if (confirmedMs >= this.#ownerConfirmedMs) this.#markInDoubt(room, confirmedMs);
    // A notice for a room that moves now may have gone to the wrong server, too.
    for (const [room, notice] of this.#notices) if (notice.sentMs !== undefined && hasMoved(room)) notice.sentMs = undefined;
    this.#retry();
  }

  /** The owner of the slot accepted every publish that was confirmed before this. */
  get #ownerConfirmedMs(): number {
    return this.#topology.confirmedAt.ms - longestWaitMs(this.#options.timeoutMs);
  }

  /** Subscribes again to refused rooms, sends failed notices again, and forgets what is not in doubt any more. */
  #retry(): void {
    for (const { node } of this.#shards.values()) node.subscription.resubscribe();
    const confirmedMs = this.#ownerConfirmedMs;
    this.#recent.forget(confirmedMs, this.#options.runtime.scheduler.now());
    for (const [room, { sentMs }] of this.#notices) if (sentMs !== undefined && sentMs < confirmedMs) this.#notices.delete(room);
    this.#updateStatus();
  }

  /** Messages of the room may have gone to a server that no longer owned its slot, the last of them at `untilMs`. */
  #markInDoubt(room: string, untilMs: number): void {
    // A message's timestamp is earlier than its confirmation, by the timeout at most.
    const since = readingBefore(this.#topology.confirmedAt, longestWaitMs(this.#options.timeoutMs));
    const other = this.#notices.get(room);
    this.#notices.set(room, {
      since: other !== undefined && other.since.ms < since.ms ? other.since : since,
      untilMs: Math.max(untilMs, other?.untilMs ?? untilMs),
      isPending: false,
      sentMs: undefined,
    });
  }

  /** Sends the room's notice to all pods with members, through the owner of the slot. If that fails, it is sent later. */
  #sendNotice(room: string): void {
    const unsent = this.#notices.get(room);
    const shard = this.#shardOf(this.#slotOf(room));
    if (unsent === undefined || unsent.isPending || unsent.sentMs !== undefined) return;
    if (shard === undefined || shard.isCutOff || !shard.node.publisher.status$.value.up) return;
    unsent.isPending = true;
    const { scheduler, wallMs } = this.#options.runtime;
    const nowMs = scheduler.now();
    const sinceAgeMs = nowMs - unsent.since.ms;
    const notice = writeNotice({
      pod: this.#pod,
      sinceAgeMs,
      untilAgeMs: nowMs - unsent.untilMs,
      sinceWallMs: Math.min(unsent.since.wallMs, wallMs() - sinceAgeMs),
    });
    shard.node.publisher.publish(this.#channels.channelOf(room), notice, false).subscribe({
      complete: () => {
        unsent.isPending = false;
        unsent.sentMs = this.#table.ownerOf(this.#slotOf(room)) === shard.server ? scheduler.now() : undefined;
      },
      error: () => {
        unsent.isPending = false;
      },
    });
  }

  /**
   * Returns a publication, or the gap for another pod's notice. Undefined for this pod's own notice, and for a span that ended before
   * the room moved here: the gap of the move covers it.
   */
  #readNotice(publication: Publication): BrokerEvent | undefined {
    const { room, payload } = publication;
    const notice = readNotice(payload);
    if (notice === undefined) return publication;
    const { scheduler, wallMs } = this.#options.runtime;
    const movedMs = this.#placements.get(room)?.movedMs ?? -Infinity;
    if (notice.pod === this.#pod || scheduler.now() - notice.untilAgeMs < movedMs) return undefined;
    return { kind: 'gap', rooms: new Set([room]), sinceMs: Math.min(wallMs() - notice.sinceAgeMs, notice.sinceWallMs) };
  }

  #slotOf(room: string): number {
    return slotOf(this.#channels.channelOf(room));
  }

  #shardOf(slot: number): Shard | undefined {
    const server = this.#table.ownerOf(slot);
    return server === undefined ? undefined : this.#shards.get(server);
  }

  #addShard(server: Server): Shard {
    const shard = createShard({
      ...this.#options,
      server,
      channels: this.#channels,
      table: () => this.#table,
      ownerConfirmedAt: () => this.#topology.confirmedAt,
      redirected: (reason) => this.#topology.redirected(reason, server),
    });
    this.#shards.set(server, shard);
    return shard;
  }

  #watchStatus({ status$ }: { readonly status$: Observable<BrokerStatus> }): Subscription {
    return status$.subscribe(() => {
      this.#updateStatus();
    });
  }

  #updateStatus(): void {
    for (const room of this.#notices.keys()) this.#sendNotice(room);
    const all = [this.#topology.status, ...[...this.#shards.values()].map(({ status }) => status)];
    this.status$.next(all.find(({ up }) => !up) ?? { up: true });
  }

  #place(placement: Placement): void {
    const shard = this.#shardOf(placement.slot);
    if (shard === placement.shard) return;
    const lostSince = placement.shard?.node.subscription.lostSince(placement.room) ?? placement.lostSince;
    placement.subscription?.unsubscribe();
    placement.confirmed(false);
    placement.lostSince = lostSince;
    placement.isMoving = placement.shard !== undefined || placement.isMoving;
    placement.shard = shard;
    placement.subscription = shard?.node.subscription
      .subscribe(placement.room, placement.lostSince)
      .subscribe({ next: placement.confirmed, error: placement.refused });
    if (shard) placement.lostSince = undefined;
  }
}

function reasonOf(status: BrokerStatus): string {
  return status.up ? '' : status.reason;
}
