import { BehaviorSubject, Observable, distinctUntilChanged, interval, skip, tap, type Subscription } from 'rxjs';
import { PublishError, type Broker, type BrokerEvent, type BrokerStatus } from '../../broker/broker.js';
import type { RedisBrokerOptions } from '../broker.js';
import type { Publication } from '../../broker/broker.js';
import { roomChannels, type RoomChannels } from '../channels.js';
import { redisLink$ } from '../link.js';
import { readingBefore, type ClockReading } from '../liveness/clock-reading.js';
import { longestWaitMs } from '../../operators/within.js';
import type { Server } from '../address.js';
import { createShard, type Shard } from './shard.js';
import { SlotTable } from './slot-table.js';
import { slotOf } from './slots.js';
import { POLL_INTERVAL_MS, RedisTopology } from './topology.js';
import { RecentPublishes, readNotice, writeNotice, type SpanInDoubt } from './in-doubt.js';

/** Where a cluster is; user, password and TLS are those of `address`, whose host is not used. */
export interface RedisClusterOptions extends Omit<RedisBrokerOptions, 'sentinel'> {
  /** Some servers of the cluster; the others are found out from them. */
  readonly servers: readonly Server[];
}

/** A room that somebody wants, and where it is subscribed to at present. */
interface Seat {
  readonly room: string;
  readonly slot: number;
  readonly tell: (confirmed: boolean) => void;
  readonly refuse: (error: unknown) => void;
  shard: Shard | undefined;
  subscription: Subscription | undefined;
  /** While it has no shard: the last proof that it was heard. */
  lostSince: ClockReading | undefined;
  /** It is on its way to another shard and not confirmed there yet. */
  isMoving: boolean;
  /** When it was confirmed at the shard that it moved to last. What was published before is told. */
  movedMs: number | undefined;
}

/** What has to be told to the members of a room. */
interface Untold extends SpanInDoubt {
  isUnderWay: boolean;
  /** When the owner of the slot, as far as was known, took it; undefined until then. */
  toldMs: number | undefined;
}

/**
 * A Redis Cluster with sharded pub/sub as the broker: each room is a channel on the server that owns its slot, and each such server
 * has a publisher and a subscription of its own, proven alive by themselves.
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
  readonly #seats = new Map<string, Seat>();
  readonly #recent = new RecentPublishes();
  /** Rooms to whose members this pod has to tell that it published to a server that may not have been the owner. */
  readonly #untold = new Map<string, Untold>();
  readonly #pod: string;
  /** What the shards were made by. */
  #table = new SlotTable();

  constructor(options: RedisClusterOptions) {
    this.#options = options;
    this.#channels = roomChannels(options.channelPrefix);
    this.#topology = new RedisTopology({
      ...options,
      connect: options.connect ?? redisLink$,
    });
    this.#pod = options.runtime.newId();
    this.events$ = new Observable((subscriber) => {
      const hear = (event: BrokerEvent) => {
        const told = event.kind === 'publication' ? this.#readNotice(event) : event;
        if (told !== undefined) subscriber.next(told);
      };
      subscriber.add(() => {
        for (const { life } of this.#shards.values()) life.unsubscribe();
        this.#shards.clear();
      });
      subscriber.add(
        this.#topology.table$.pipe(skip(1)).subscribe((table) => {
          this.#follow(table, hear);
        }),
      );
      subscriber.add(this.#watchStatus(this.#topology));
      subscriber.add(this.#topology.connected().subscribe());
      subscriber.add(
        interval(POLL_INTERVAL_MS, options.runtime.scheduler).subscribe(() => {
          this.#lookAgain();
        }),
      );
    });
  }

  subscribe(room: string): Observable<boolean> {
    return new Observable((subscriber) => {
      let isConfirmed = false;
      const seat: Seat = {
        room,
        slot: this.#slotOf(room),
        tell: (confirmed) => {
          if (confirmed && seat.isMoving) {
            seat.isMoving = false;
            seat.movedMs = this.#options.runtime.scheduler.now();
          }
          if (confirmed !== isConfirmed) subscriber.next((isConfirmed = confirmed));
        },
        refuse: (error) => {
          subscriber.error(error);
        },
        shard: undefined,
        subscription: undefined,
        lostSince: undefined,
        isMoving: false,
        movedMs: undefined,
      };
      this.#seats.set(room, seat);
      this.#place(seat, this.#table);
      return () => {
        this.#seats.delete(room);
        seat.subscription?.unsubscribe();
      };
    });
  }

  publish(room: string, payload: string): Observable<never> {
    const channel = this.#channels.channelOf(room);
    const slot = slotOf(channel);
    return new Observable((subscriber) => {
      const server = this.#table.ownerOf(slot);
      const shard = server === undefined ? undefined : this.#shards.get(server);
      if (shard === undefined) {
        subscriber.error(new PublishError('unavailable', 'no server of the cluster owns its slot'));
        return undefined;
      }
      if (shard.isCutOff) {
        subscriber.error(new PublishError('unavailable', `${shard.server} is cut off from the majority of the cluster`));
        return undefined;
      }
      // Its members are told before they hear anything newer.
      if (this.#untold.size > 0) this.#tellMisplaced(room);
      return shard.node.publisher
        .publish(channel, payload)
        .pipe(
          tap({
            complete: () => {
              this.#confirmed(room, slot, shard.server);
            },
            error: (error: PublishError) => {
              this.#topology.hint(error.message, shard.server);
            },
          }),
        )
        .subscribe(subscriber);
    });
  }

  #confirmed(room: string, slot: number, server: Server): void {
    const nowMs = this.#options.runtime.scheduler.now();
    if (this.#table.ownerOf(slot) === server) this.#recent.confirmed(room, nowMs);
    // The slot moved while this was under way.
    else this.#doubt(room, nowMs);
  }

  /** Rooms go where their slots are, and servers that have none left are left. */
  #follow(table: SlotTable, hear: (event: BrokerEvent) => void): void {
    const { owners } = table;
    const before = this.#table;
    this.#table = table;
    const born = [...owners].filter((server) => !this.#shards.has(server)).map((server) => this.#create(server));
    for (const seat of this.#seats.values()) this.#place(seat, table);
    for (const [server, { life }] of this.#shards) {
      if (owners.has(server)) continue;
      life.unsubscribe();
      this.#shards.delete(server);
    }
    // Not before its rooms are known: a first life tells one gap for all of them.
    for (const { life, node, status$ } of born) {
      life.add(node.events$.subscribe(hear));
      life.add(this.#watchStatus({ status$ }));
    }
    const hasMoved = (room: string) => {
      const slot = this.#slotOf(room);
      const owner = before.ownerOf(slot);
      return owner !== undefined && owner !== table.ownerOf(slot);
    };
    for (const [room, confirmedMs] of this.#recent.take(hasMoved))
      if (confirmedMs >= this.#certainMs) this.#doubt(room, confirmedMs);
    // The notice there was perhaps taken by the wrong server as well.
    for (const [room, untold] of this.#untold) if (untold.toldMs !== undefined && hasMoved(room)) untold.toldMs = undefined;
    this.#lookAgain();
  }

  /** Publishes that were confirmed before this were taken by the owner of their slot. */
  get #certainMs(): number {
    return this.#topology.agreed.ms - longestWaitMs(this.#options.timeoutMs);
  }

  /** Asks again for what was refused, tells again what could not be told, and forgets what cannot be in doubt any more. */
  #lookAgain(): void {
    for (const { node } of this.#shards.values()) node.subscription.askAgain();
    const certainMs = this.#certainMs;
    this.#recent.forget(certainMs, this.#options.runtime.scheduler.now());
    for (const [room, { toldMs }] of this.#untold) if (toldMs !== undefined && toldMs < certainMs) this.#untold.delete(room);
    this.#tellStatus();
  }

  /** Messages of the room may have gone to a server that no longer owned its slot, the last of them at that time. */
  #doubt(room: string, untilMs: number): void {
    const { agreed } = this.#topology;
    const { timeoutMs } = this.#options;
    // A message bears a time from before its publish, by the timeout at most.
    const since = readingBefore(agreed, longestWaitMs(timeoutMs));
    const other = this.#untold.get(room);
    this.#untold.set(room, {
      since: other !== undefined && other.since.ms < since.ms ? other.since : since,
      untilMs: Math.max(untilMs, other?.untilMs ?? untilMs),
      isUnderWay: false,
      toldMs: undefined,
    });
  }

  /** Tells all pods that have members in the room, through the owner of its slot. What fails is told later. */
  #tellMisplaced(room: string): void {
    const untold = this.#untold.get(room);
    const server = this.#table.ownerOf(this.#slotOf(room));
    const shard = server === undefined ? undefined : this.#shards.get(server);
    if (untold === undefined || untold.isUnderWay || untold.toldMs !== undefined) return;
    if (shard === undefined || shard.isCutOff || !shard.node.publisher.status$.value.up) return;
    untold.isUnderWay = true;
    const nowMs = this.#options.runtime.scheduler.now();
    const sinceAgeMs = nowMs - untold.since.ms;
    const notice = writeNotice({
      pod: this.#pod,
      sinceAgeMs,
      untilAgeMs: nowMs - untold.untilMs,
      sinceWallMs: Math.min(untold.since.wallMs, this.#options.runtime.wallMs() - sinceAgeMs),
    });
    shard.node.publisher.publish(this.#channels.channelOf(room), notice, false).subscribe({
      complete: () => {
        untold.isUnderWay = false;
        untold.toldMs =
          this.#table.ownerOf(this.#slotOf(room)) === shard.server ? this.#options.runtime.scheduler.now() : undefined;
      },
      error: () => {
        untold.isUnderWay = false;
      },
    });
  }

  /**
   * A publication, or the gap that another pod's notice means. Nothing where it is this pod's own, or where the room has moved here
   * after all that the notice speaks of: its members were told that then.
   */
  #readNotice(publication: Publication): BrokerEvent | undefined {
    const { room, payload } = publication;
    const notice = readNotice(payload);
    if (notice === undefined) return publication;
    const { scheduler, wallMs } = this.#options.runtime;
    const movedMs = this.#seats.get(room)?.movedMs ?? -Infinity;
    if (notice.pod === this.#pod || scheduler.now() - notice.untilAgeMs < movedMs) return undefined;
    return { kind: 'gap', rooms: new Set([room]), sinceMs: Math.min(wallMs() - notice.sinceAgeMs, notice.sinceWallMs) };
  }

  #slotOf(room: string): number {
    return slotOf(this.#channels.channelOf(room));
  }

  #create(server: Server): Shard {
    const shard = createShard({
      ...this.#options,
      server,
      channels: this.#channels,
      table: () => this.#table,
      certain: () => this.#topology.agreed,
      refused: (reason) => this.#topology.hint(reason, server),
    });
    this.#shards.set(server, shard);
    return shard;
  }

  #watchStatus({ status$ }: { readonly status$: Observable<BrokerStatus> }): Subscription {
    return status$.subscribe(() => {
      this.#tellStatus();
    });
  }

  #tellStatus(): void {
    for (const room of this.#untold.keys()) this.#tellMisplaced(room);
    const all = [this.#topology.status, ...[...this.#shards.values()].map(({ status }) => status)];
    this.status$.next(all.find(({ up }) => !up) ?? { up: true });
  }

  #place(seat: Seat, table: SlotTable): void {
    const server = table.ownerOf(seat.slot);
    const shard = server === undefined ? undefined : this.#shards.get(server);
    if (shard === seat.shard) return;
    const lostSince = seat.shard?.node.subscription.lostSince(seat.room) ?? seat.lostSince;
    seat.subscription?.unsubscribe();
    seat.tell(false);
    seat.lostSince = lostSince;
    seat.isMoving = seat.shard !== undefined || seat.isMoving;
    seat.shard = shard;
    seat.subscription = shard?.node.subscription
      .subscribe(seat.room, seat.lostSince)
      .subscribe({ next: seat.tell, error: seat.refuse });
    if (shard) seat.lostSince = undefined;
  }
}

function reasonOf(status: BrokerStatus): string {
  return status.up ? '' : status.reason;
}
