import { BehaviorSubject, Observable, catchError, distinctUntilChanged, skip, type Subscription } from 'rxjs';
import { PublishError, type Broker, type BrokerEvent, type BrokerStatus } from '../broker/broker.js';
import type { RedisBrokerOptions } from './broker.js';
import { roomChannels, type RoomChannels } from './channels.js';
import { redisLink$ } from './link.js';
import type { Moment } from './moment.js';
import type { Server } from './server.js';
import { createShard, type Shard } from './shard.js';
import type { SlotTable } from './slot-table.js';
import { slotOf } from './slots.js';
import { RedisTopology } from './topology.js';

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
  lostMs: Moment | undefined;
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

  constructor(options: RedisClusterOptions) {
    this.#options = options;
    this.#channels = roomChannels(options.channelPrefix);
    this.#topology = new RedisTopology({
      ...options,
      connect: options.connect ?? redisLink$,
      known: () => [...this.#shards.keys()],
    });
    this.events$ = new Observable((subscriber) => {
      const hear = (event: BrokerEvent) => {
        subscriber.next(event);
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
    });
  }

  subscribe(room: string): Observable<boolean> {
    return new Observable((subscriber) => {
      let isConfirmed = false;
      const seat: Seat = {
        room,
        slot: slotOf(this.#channels.channelOf(room)),
        tell: (confirmed) => {
          if (confirmed !== isConfirmed) subscriber.next((isConfirmed = confirmed));
        },
        refuse: (error) => {
          subscriber.error(error);
        },
        shard: undefined,
        subscription: undefined,
        lostMs: undefined,
      };
      this.#seats.set(room, seat);
      this.#place(seat, this.#topology.table$.value);
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
      const server = this.#topology.table$.value.ownerOf(slot);
      const shard = server === undefined ? undefined : this.#shards.get(server);
      if (shard === undefined) {
        subscriber.error(new PublishError('unavailable', 'no server of the cluster owns its slot'));
        return undefined;
      }
      return shard.node.publisher
        .publish(channel, payload)
        .pipe(
          catchError((error: PublishError) => {
            this.#topology.hint(error.message);
            throw error;
          }),
        )
        .subscribe(subscriber);
    });
  }

  /** Rooms go where their slots are, and servers that have none left are left. */
  #follow(table: SlotTable, hear: (event: BrokerEvent) => void): void {
    const { owners } = table;
    const born = [...owners].filter((server) => !this.#shards.has(server)).map((server) => this.#create(server));
    for (const seat of this.#seats.values()) this.#place(seat, table);
    for (const [server, { life }] of this.#shards) {
      if (owners.has(server)) continue;
      life.unsubscribe();
      this.#shards.delete(server);
    }
    // Not before its rooms are known: a first life tells one gap for all of them.
    for (const { life, node } of born) {
      life.add(node.events$.subscribe(hear));
      life.add(this.#watchStatus(node));
    }
    for (const { node } of this.#shards.values()) node.subscription.askAgain();
    this.#tellStatus();
  }

  #create(server: Server): Shard {
    const shard = createShard({
      ...this.#options,
      server,
      channels: this.#channels,
      table: () => this.#topology.table$.value,
      refused: (reason) => this.#topology.hint(reason),
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
    const all = [this.#topology.status, ...[...this.#shards.values()].map(({ node }) => node.status)];
    this.status$.next(all.find(({ up }) => !up) ?? { up: true });
  }

  #place(seat: Seat, table: SlotTable): void {
    const server = table.ownerOf(seat.slot);
    const shard = server === undefined ? undefined : this.#shards.get(server);
    if (shard === seat.shard) return;
    const lostMs = seat.shard?.node.subscription.lostMs(seat.room);
    seat.subscription?.unsubscribe();
    seat.tell(false);
    seat.lostMs = lostMs ?? seat.lostMs;
    seat.shard = shard;
    seat.subscription = shard?.node.subscription
      .subscribe(seat.room, seat.lostMs)
      .subscribe({ next: seat.tell, error: seat.refuse });
    if (shard) seat.lostMs = undefined;
  }
}

function reasonOf(status: BrokerStatus): string {
  return status.up ? '' : status.reason;
}
