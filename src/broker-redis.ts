import { combineLatest, distinctUntilChanged, filter, ignoreElements, map, merge } from 'rxjs';
import type { Broker } from './broker.js';
import type { Logger } from './log.js';
import type { Metrics } from './metrics.js';
import { Canary } from './redis-canary.js';
import { roomChannels } from './redis-channels.js';
import { redisLink$, type RedisLink } from './redis-link.js';
import { lives$ } from './redis-lives.js';
import { isMaster$ } from './redis-master.js';
import { RedisPublisher } from './redis-publisher.js';
import { RedisSubscription } from './redis-subscription.js';
import type { World } from './world.js';

export interface RedisBrokerOptions {
  /** `redis:` or `rediss:`. */
  readonly url: string;
  readonly channelPrefix: string;
  /** Redis answers within this, or its connection is replaced. */
  readonly timeoutMs: number;
  readonly world: World;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/**
 * Redis as the broker: one connection publishes, one is subscribed, each replaced when it fails.
 * Chat over it is at most once; every loss that a replaced subscription can mean is told by a gap.
 */
export function redisBroker({ url, channelPrefix, timeoutMs, world, metrics, log }: RedisBrokerOptions): Broker {
  const channels = roomChannels(channelPrefix);
  const verify = (link: RedisLink) => isMaster$(link, timeoutMs, world);
  const publisher = new RedisPublisher({ time: world, timeoutMs, verify });
  const canary = new Canary({
    channel: `${channelPrefix}:canary:${world.newId()}`,
    publish: (channel, payload) => publisher.publish(channel, payload),
    timeoutMs,
    time: world,
  });
  const publishable$ = publisher.status$.pipe(filter(({ up }) => up));
  const subscription = new RedisSubscription({ time: world, channels, canary, publishable$, verify, timeoutMs, log });
  const connections = { verify, world, metrics, log };

  return {
    events$: merge(
      lives$({
        ...connections,
        name: 'subscription',
        link$: redisLink$({ url, name: `${channelPrefix}:subscription` }),
        live: (link) => subscription.live(link),
        status$: subscription.status$,
      }),
      lives$({
        ...connections,
        name: 'publisher',
        link$: redisLink$({ url, name: `${channelPrefix}:publisher` }),
        live: (link) => publisher.live(link),
        status$: publisher.status$,
      }).pipe(ignoreElements()),
    ),
    status$: combineLatest([publisher.status$, subscription.status$]).pipe(
      map(([publishing, subscribed]) => (publishing.up ? subscribed : publishing)),
      distinctUntilChanged(),
    ),
    subscribe: (room) => subscription.subscribe(room),
    publish: (room, payload) => publisher.publish(channels.channelOf(room), payload),
  };
}
