import { NEVER, concat, defer, merge, switchMap, tap, type Observable } from 'rxjs';
import type { Broker } from '../broker/broker.js';
import type { Logger } from '../runtime/log.js';
import type { Metrics } from '../runtime/metrics.js';
import { roomChannels } from './channels.js';
import { redisLink$, type Connect, type RedisLink } from './link.js';
import { isMaster$, type Verify } from './liveness/master.js';
import { redisNode } from './node.js';
import { Sentinels } from './sentinel.js';
import { addressOf, type RedisAddress, type Server } from './address.js';
import { CHANNELS_PER_COMMAND, chunks } from './subscribe.js';
import type { Runtime } from '../runtime/runtime.js';

/** Where Redis is, and what its broker needs of the pod: the same `runtime`, `metrics` and `log` as `createChatServer` is given. */
export interface RedisBrokerOptions {
  /** Where the server is, and how to log in there; of a configuration, its `redisUrl`. */
  readonly address: RedisAddress;
  /**
   * How connections are made, if not by `redisLink$`: a simulation has its own.
   *
   * @internal
   */
  readonly connect?: Connect | undefined;
  /** Where the server is found out from sentinels; the host of `address` is not used then. */
  readonly sentinel?: { readonly servers: readonly Server[]; readonly master: string } | undefined;
  /** What channel names begin with: `{prefix}:room:{room}` and `{prefix}:global`. */
  readonly channelPrefix: string;
  /** Redis answers within this, or its connection is replaced. */
  readonly timeoutMs: number;
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Where the master is, and whether a link is to it. */
interface Master {
  readonly link$: (name: string) => Observable<RedisLink>;
  readonly verify: Verify;
  /** Which server that was, where that can change. */
  readonly placeOf: (link: RedisLink) => string;
  /** To be subscribed to as long as the others are used. */
  readonly connected$: Observable<never>;
}

/**
 * One Redis as the broker, or a master that sentinels watch.
 * Chat over it is at most once; every loss that a replaced subscription can mean is told by a gap.
 */
export function redisBroker(options: RedisBrokerOptions): Broker {
  const { channelPrefix, timeoutMs, runtime, metrics, log } = options;
  const channels = roomChannels(channelPrefix);
  const canaryChannel = `${channelPrefix}:canary:${runtime.newId()}`;
  const { link$, verify, placeOf, connected$ } = options.sentinel
    ? sentinelMaster(options, options.sentinel)
    : fixedMaster(options);
  const { events$, status$, publisher, subscription } = redisNode({
    suffix: '',
    link$: (name) => link$(`${channelPrefix}:${name}`),
    verify,
    channels,
    canaryChannel: () => canaryChannel,
    timeoutMs,
    runtime,
    metrics,
    log,
    together: (asked) => chunks(asked, CHANNELS_PER_COMMAND),
    refused: () => false,
    misplaced: { channel: channels.misplaced, placeOf },
  });
  return {
    events$: merge(events$, connected$),
    status$,
    subscribe: (room) => subscription.subscribe(room),
    publish: (room, payload) => publisher.publish(channels.channelOf(room), payload),
  };
}

function fixedMaster({ address, connect = redisLink$, timeoutMs, runtime }: RedisBrokerOptions): Master {
  return {
    // Where it leads is asked for each connection anew.
    link$: (name) => defer(() => connect({ address, name })),
    verify: (link) => isMaster$(link, timeoutMs, runtime),
    placeOf: () => '',
    connected$: NEVER,
  };
}

function sentinelMaster(
  { address, connect = redisLink$, channelPrefix, timeoutMs, runtime, log }: RedisBrokerOptions,
  { servers: addresses, master }: NonNullable<RedisBrokerOptions['sentinel']>,
): Master {
  const name = `${channelPrefix}:sentinel`;
  const sentinels = new Sentinels({ sentinels: addresses, master, address, connect, name, timeoutMs, runtime, log });
  const servers = new WeakMap<RedisLink, Server>();
  const placeOf = (link: RedisLink) => servers.get(link) ?? '';
  return {
    link$: (as) =>
      sentinels
        .master$()
        .pipe(
          switchMap((server) =>
            connect({ address: addressOf(server, address), name: as }).pipe(tap((link) => servers.set(link, server))),
          ),
        ),
    // One after the other: what was published before is carried out by the time at which the sentinels are asked.
    verify: (link) =>
      concat(
        isMaster$(link, timeoutMs, runtime),
        defer(() => sentinels.agree(placeOf(link))),
      ),
    placeOf,
    connected$: sentinels.connected(),
  };
}
