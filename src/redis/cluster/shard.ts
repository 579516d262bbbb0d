import { BehaviorSubject, Subscription, combineLatest, concat, defer, filter, map, tap, type Observable } from 'rxjs';
import type { BrokerStatus } from '../../broker/broker.js';
import type { Time } from '../../operators/within.js';
import { addressOf, type Server } from '../address.js';
import type { RedisBrokerOptions } from '../broker.js';
import type { RoomChannels } from '../channels.js';
import { RefusedError, redisLink$, type RedisLink } from '../link.js';
import type { ClockReading } from '../liveness/clock-reading.js';
import { isMaster$ } from '../liveness/master.js';
import { redisNode, type RedisNode } from '../node.js';
import { replyTimeout } from '../reply.js';
import { CHANNELS_PER_COMMAND, chunks } from '../subscribe.js';
import { readInfo, type ClusterState } from './cluster-view.js';
import { SLOT_COUNT, slotOf, type SlotTable } from './slots.js';

/** Limit of the names tried for a canary channel: a server that owns one slot of 16,384 needs that many on average. */
const MAX_NAMES = SLOT_COUNT * 20;

export interface ShardOptions extends Omit<RedisBrokerOptions, 'sentinel'> {
  readonly server: Server;
  readonly channels: RoomChannels;
  readonly table: () => SlotTable;
  /** When the server last owned its slots for certain. */
  readonly ownerConfirmedAt: () => ClockReading;
  /** Called with the error reply for a channel. True if another server takes the channel, or the same one later. */
  readonly redirected: (reason: string) => boolean;
}

/** A server of a cluster that owns slots. */
export interface Shard {
  readonly server: Server;
  readonly node: RedisNode;
  /** Up if the node is up and its server reports that the cluster is ok. */
  readonly status$: Observable<BrokerStatus>;
  /** The present status. */
  readonly status: BrokerStatus;
  /** The server reports that it has no contact with a majority of the masters: another server may own its slots by now. */
  readonly isCutOff: boolean;
  /** The subscriptions that keep it connected. */
  readonly connection: Subscription;
}

/** Makes the node for the channels in a server's slots. */
export function createShard(options: ShardOptions): Shard {
  const { server, address, connect = redisLink$, channelPrefix, table, redirected, timeoutMs, runtime } = options;
  const state$ = new BehaviorSubject<ClusterState>({ isOk: true, isCutOff: false });
  const node = redisNode({
    ...options,
    suffix: ` ${server}`,
    link$: (name) => connect({ address: addressOf(server, address), name: `${channelPrefix}:${name}`, sharded: true }),
    // In this order: earlier publishes have been carried out by the time when the server reports its state.
    verify: (link) =>
      concat(
        isMaster$(link, timeoutMs, runtime),
        isOk$(link, timeoutMs, runtime, (state) => {
          state$.next(state);
        }),
      ),
    canaryChannel: canaryChannel(`${channelPrefix}:canary:${runtime.newId()}`, (slot) => table().ownerOf(slot) === server),
    batches: bySlot,
    isElsewhere: (_, error) => error instanceof RefusedError && redirected(error.message),
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
    connection: new Subscription(),
  };
}

/** Asks a server for the state of the cluster. If it is not ok, it is unknown whether the server still owns its slots (see `Verify`). */
function isOk$(link: RedisLink, timeoutMs: number, time: Time, report: (state: ClusterState) => void): Observable<'unknown'> {
  return defer(() => link.call('CLUSTER', 'INFO')).pipe(
    map(readInfo),
    tap(report),
    filter(({ isOk }) => !isOk),
    map(() => 'unknown' as const),
    replyTimeout(link, 'CLUSTER INFO', timeoutMs, time),
  );
}

/** Returns a channel in a slot that the server owns; another one when the server no longer owns that slot. */
function canaryChannel(name: string, owns: (slot: number) => boolean): () => string {
  let channel = name;
  return () => {
    for (let nth = 0; nth < MAX_NAMES && !owns(slotOf(channel)); nth++) channel = `${name}:${nth}`;
    return channel;
  };
}

/** The channels of one SSUBSCRIBE have to be in one slot. */
function bySlot(channels: readonly string[]): readonly (readonly string[])[] {
  const slots = new Map<number, string[]>();
  for (const channel of channels) {
    const slot = slotOf(channel);
    const batch = slots.get(slot);
    if (batch) batch.push(channel);
    else slots.set(slot, [channel]);
  }
  return [...slots.values()].flatMap((batch) => chunks(batch, CHANNELS_PER_COMMAND));
}
