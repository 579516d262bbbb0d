import { NEVER, defer, merge, switchMap, tap, type Observable } from 'rxjs';
import type { Broker } from './broker.js';
import type { Logger } from './log.js';
import type { Metrics } from './metrics.js';
import { roomChannels } from './redis-channels.js';
import { redisLink$, type RedisLink, type RedisLinkOptions } from './redis-link.js';
import { isMaster$ } from './redis-master.js';
import { redisNode } from './redis-node.js';
import { Sentinels } from './redis-sentinel.js';
import { urlAt, type Server } from './redis-server.js';
import { CHANNELS_PER_COMMAND, chunks } from './redis-subscription.js';
import type { World } from './world.js';

/** Where Redis is, and what its broker needs of the pod: the same `world`, `metrics` and `log` as `createChatServer` is given. */
export interface RedisBrokerOptions {
  /** `redis:` or `rediss:`, with user, password and database as needed. */
  readonly url: string;
  /**
   * How connections are made, if not by `redisLink$`: a simulation has its own.
   *
   * @internal
   */
  readonly connect?: ((options: RedisLinkOptions) => Observable<RedisLink>) | undefined;
  /** Where the server is found out from sentinels; the URL's host is not used then. */
  readonly sentinel?: { readonly servers: readonly Server[]; readonly master: string } | undefined;
  /** What channel names begin with: `{prefix}:room:{room}` and `{prefix}:global`. */
  readonly channelPrefix: string;
  /** Redis answers within this, or its connection is replaced. */
  readonly timeoutMs: number;
  readonly world: World;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Where the master is, and whether a link is to it. */
interface Master {
  readonly link$: (name: string) => Observable<RedisLink>;
  readonly verify: (link: RedisLink) => Observable<never>;
  /** To be subscribed to as long as the others are used. */
  readonly connected$: Observable<never>;
}

/**
 * One Redis as the broker, or a master that sentinels watch.
 * Chat over it is at most once; every loss that a replaced subscription can mean is told by a gap.
 */
export function redisBroker(options: RedisBrokerOptions): Broker {
  const { channelPrefix, timeoutMs, world, metrics, log } = options;
  const channels = roomChannels(channelPrefix);
  const canaryChannel = `${channelPrefix}:canary:${world.newId()}`;
  const { link$, verify, connected$ } = options.sentinel ? sentinelMaster(options, options.sentinel) : fixedMaster(options);
  const { events$, status$, publisher, subscription } = redisNode({
    suffix: '',
    link$: (name) => link$(`${channelPrefix}:${name}`),
    verify,
    channels,
    canaryChannel: () => canaryChannel,
    timeoutMs,
    world,
    metrics,
    log,
    together: (asked) => chunks(asked, CHANNELS_PER_COMMAND),
    refused: () => false,
  });
  return {
    events$: merge(events$, connected$),
    status$,
    subscribe: (room) => subscription.subscribe(room),
    publish: (room, payload) => publisher.publish(channels.channelOf(room), payload),
  };
}

function fixedMaster({ url, connect = redisLink$, timeoutMs, world }: RedisBrokerOptions): Master {
  return {
    // Where it leads is asked for each connection anew.
    link$: (name) => defer(() => connect({ url, name })),
    verify: (link) => isMaster$(link, timeoutMs, world),
    connected$: NEVER,
  };
}

function sentinelMaster(
  { url, channelPrefix, timeoutMs, world, log }: RedisBrokerOptions,
  { servers, master }: NonNullable<RedisBrokerOptions['sentinel']>,
): Master {
  const sentinels = new Sentinels({ sentinels: servers, master, url, name: `${channelPrefix}:sentinel`, timeoutMs, world, log });
  const serverOf = new WeakMap<RedisLink, Server>();
  return {
    link$: (name) =>
      sentinels
        .master$()
        .pipe(
          switchMap((server) => redisLink$({ url: urlAt(url, server), name }).pipe(tap((link) => serverOf.set(link, server)))),
        ),
    verify: (link) =>
      merge(
        isMaster$(link, timeoutMs, world),
        defer(() => sentinels.agree(serverOf.get(link) ?? '')),
      ),
    connected$: sentinels.connected(),
  };
}
