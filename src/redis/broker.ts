import { NEVER, concat, defer, merge, switchMap, tap, type Observable } from 'rxjs';
import type { Broker } from '../broker/broker.js';
import type { Logger } from '../runtime/log.js';
import type { Metrics } from '../runtime/metrics.js';
import type { Runtime } from '../runtime/runtime.js';
import { addressOf, type RedisAddress, type Server } from './address.js';
import { roomChannels } from './channels.js';
import { redisLink$, type Connect, type RedisLink } from './link.js';
import { isMaster$, type Verify } from './liveness/master.js';
import { redisNode } from './node.js';
import { Sentinels } from './sentinel.js';
import { CHANNELS_PER_COMMAND, chunks } from './subscribe.js';

/** Where Redis is, and what its broker needs of the pod: the same `runtime`, `metrics` and `log` as `createChatServer` is given. */
export interface RedisBrokerOptions {
  /** The server and the login there; of a configuration, its `redisUrl`. */
  readonly address: RedisAddress;
  /**
   * Makes connections; `redisLink$` if absent. The simulation has its own.
   *
   * @internal
   */
  readonly connect?: Connect | undefined;
  /** Sentinels that know the server; the host of `address` is not used then. */
  readonly sentinel?: { readonly servers: readonly Server[]; readonly master: string } | undefined;
  /** The prefix of channels: `{prefix}:room:{room}` and `{prefix}:global`. */
  readonly channelPrefix: string;
  /** A connection is replaced if Redis does not answer within this. */
  readonly timeoutMs: number;
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Connects to the master, and verifies that a link still leads there. */
interface Master {
  readonly link$: (name: string) => Observable<RedisLink>;
  readonly verify: Verify;
  /** The server of a link; the same text for all links if it is not known. */
  readonly serverOf: (link: RedisLink) => string;
  /** To be subscribed to as long as the others are used. */
  readonly connected$: Observable<never>;
}

/**
 * A broker on one Redis server, or on the master that sentinels name. Delivery is at most once; if messages may be missing after a
 * subscription was replaced, it emits a gap.
 */
export function redisBroker(options: RedisBrokerOptions): Broker {
  const { channelPrefix, timeoutMs, runtime, metrics, log } = options;
  const channels = roomChannels(channelPrefix);
  const canaryChannel = `${channelPrefix}:canary:${runtime.newId()}`;
  const { link$, verify, serverOf, connected$ } = options.sentinel
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
    batches: (asked) => chunks(asked, CHANNELS_PER_COMMAND),
    isElsewhere: () => false,
    announce: { channel: channels.announcements, serverOf },
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
    // Deferred: the host name is resolved anew for each connection.
    link$: (name) => defer(() => connect({ address, name })),
    verify: (link) => isMaster$(link, timeoutMs, runtime),
    serverOf: () => '',
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
  const serverOf = (link: RedisLink) => servers.get(link) ?? '';
  return {
    link$: (as) =>
      sentinels
        .master$()
        .pipe(
          switchMap((server) =>
            connect({ address: addressOf(server, address), name: as }).pipe(tap((link) => servers.set(link, server))),
          ),
        ),
    // In this order: earlier publishes have been carried out by the time when the sentinels are asked.
    verify: (link) =>
      concat(
        isMaster$(link, timeoutMs, runtime),
        defer(() => sentinels.verify(serverOf(link))),
      ),
    serverOf,
    connected$: sentinels.connected(),
  };
}
