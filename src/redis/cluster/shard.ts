import { BehaviorSubject, Subscription, combineLatest, concat, defer, filter, map, tap, type Observable } from 'rxjs';
import type { BrokerStatus } from '../../broker/broker.js';
import type { RedisBrokerOptions } from '../broker.js';
import type { RoomChannels } from '../channels.js';
import { readInfo, type ClusterState } from './cluster-view.js';
import { RefusedError, redisLink$, type RedisLink } from '../link.js';
import { replyTimeout, isMaster$ } from '../liveness/master.js';
import type { ClockReading } from '../liveness/clock-reading.js';
import { redisNode, type RedisNode } from '../node.js';
import { addressOf, type Server } from '../address.js';
import type { SlotTable } from './slot-table.js';
import { SLOT_COUNT, slotOf } from './slots.js';
import { CHANNELS_PER_COMMAND, chunks } from '../subscribe.js';
import type { Time } from '../../operators/within.js';

/** So many names are tried for a canary; a server that owns one slot in 16,384 needs that many on average. */
const MAX_NAMES = SLOT_COUNT * 20;

export interface ShardOptions extends Omit<RedisBrokerOptions, 'sentinel'> {
  readonly server: Server;
  readonly channels: RoomChannels;
  readonly table: () => SlotTable;
  /** The latest moment of which it is known that no other server owned its slots. */
  readonly certain: () => ClockReading;
  /** What the server said when it refused a channel. Returns whether another one will take it. */
  readonly refused: (reason: string) => boolean;
}

/** A server of a cluster that owns slots. */
export interface Shard {
  readonly server: Server;
  readonly node: RedisNode;
  /** Up when the node is and its server says that the cluster is well. */
  readonly status$: Observable<BrokerStatus>;
  /** The present one. */
  readonly status: BrokerStatus;
  /** The server says that it has no contact with a majority of the masters: another server may own its slots by now. */
  readonly isCutOff: boolean;
  /** Unsubscribing leaves it. */
  readonly life: Subscription;
}

/** A server of a cluster as the broker for the channels in its slots. */
export function createShard(options: ShardOptions): Shard {
  const {
    server,
    address,
    connect = redisLink$,
    channelPrefix,
    channels,
    table,
    certain,
    refused,
    timeoutMs,
    runtime,
    metrics,
    log,
  } = options;
  const state$ = new BehaviorSubject<ClusterState>({ isOk: true, isCutOff: false });
  const node = redisNode({
    suffix: ` ${server}`,
    link$: (name) => connect({ address: addressOf(server, address), name: `${channelPrefix}:${name}`, sharded: true }),
    // In this order: what was published before is carried out by the time at which the server says how the cluster is.
    verify: (link) =>
      concat(
        isMaster$(link, timeoutMs, runtime),
        isWell$(link, timeoutMs, runtime, (state) => {
          state$.next(state);
        }),
      ),
    channels,
    canaryChannel: canaryChannel(`${channelPrefix}:canary:${runtime.newId()}`, (slot) => table().ownerOf(slot) === server),
    timeoutMs,
    runtime,
    metrics,
    log,
    together: bySlot,
    certain,
    refused: (_, error) => error instanceof RefusedError && refused(error.message),
  });
  const statusOf = (status: BrokerStatus, { isOk }: ClusterState): BrokerStatus =>
    status.up && !isOk ? { up: false, reason: `cluster: ${server} says that the cluster is down` } : status;
  return {
    server,
    node,
    status$: combineLatest([node.status$, state$]).pipe(map(([status, state]) => statusOf(status, state))),
    get status() {
      return statusOf(node.status, state$.value);
    },
    get isCutOff() {
      return state$.value.isCutOff;
    },
    life: new Subscription(),
  };
}

/** Asks a server how the cluster is. Where it is not well, nobody knows whether the server still owns its slots: see `Verify`. */
function isWell$(link: RedisLink, timeoutMs: number, time: Time, tell: (state: ClusterState) => void): Observable<'unknown'> {
  return defer(() => link.ask('CLUSTER', 'INFO')).pipe(
    map(readInfo),
    tap(tell),
    filter(({ isOk }) => !isOk),
    map(() => 'unknown' as const),
    replyTimeout(link, 'CLUSTER INFO', timeoutMs, time),
  );
}

/** A channel in a slot that the server owns; another one when it no longer does. */
function canaryChannel(name: string, owns: (slot: number) => boolean): () => string {
  let channel = name;
  return () => {
    for (let nth = 0; nth < MAX_NAMES && !owns(slotOf(channel)); nth++) channel = `${name}:${nth}`;
    return channel;
  };
}

/** A cluster takes several channels in one SSUBSCRIBE only when they are in one slot. */
function bySlot(channels: readonly string[]): readonly (readonly string[])[] {
  const slots = new Map<number, string[]>();
  for (const channel of channels) {
    const slot = slotOf(channel);
    const together = slots.get(slot);
    if (together) together.push(channel);
    else slots.set(slot, [channel]);
  }
  return [...slots.values()].flatMap((together) => chunks(together, CHANNELS_PER_COMMAND));
}
