import { Subscription } from 'rxjs';
import type { RedisBrokerOptions } from './broker.js';
import type { RoomChannels } from './channels.js';
import { RefusedError, redisLink$ } from './link.js';
import { isMaster$ } from './master.js';
import { redisNode, type RedisNode } from './node.js';
import { addressOf, type Server } from './server.js';
import type { SlotTable } from './slot-table.js';
import { SLOTS, slotOf } from './slots.js';
import { CHANNELS_PER_COMMAND, chunks } from './subscription.js';

/** So many names are tried for a canary; a server that owns one slot in 16,384 needs that many on average. */
const MAX_NAMES = SLOTS * 20;

export interface ShardOptions extends Omit<RedisBrokerOptions, 'sentinel'> {
  readonly server: Server;
  readonly channels: RoomChannels;
  readonly table: () => SlotTable;
  /** What the server said when it refused a channel. Returns whether another one will take it. */
  readonly refused: (reason: string) => boolean;
}

/** A server of a cluster that owns slots. */
export interface Shard {
  readonly server: Server;
  readonly node: RedisNode;
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
    refused,
    timeoutMs,
    world,
    metrics,
    log,
  } = options;
  const node = redisNode({
    suffix: ` ${server}`,
    link$: (name) => connect({ address: addressOf(server, address), name: `${channelPrefix}:${name}`, sharded: true }),
    verify: (link) => isMaster$(link, timeoutMs, world),
    channels,
    canaryChannel: canaryChannel(`${channelPrefix}:canary:${world.newId()}`, (slot) => table().ownerOf(slot) === server),
    timeoutMs,
    world,
    metrics,
    log,
    together: bySlot,
    refused: (_, error) => error instanceof RefusedError && refused(error.message),
  });
  return { server, node, life: new Subscription() };
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
