import { combineLatest, defer, distinctUntilChanged, filter, ignoreElements, map, merge, type Observable } from 'rxjs';
import type { Broker } from './broker.js';
import type { Logger } from './log.js';
import type { Metrics } from './metrics.js';
import { Canary } from './redis-canary.js';
import { roomChannels } from './redis-channels.js';
import type { RedisLink } from './redis-link.js';
import { lives$ } from './redis-lives.js';
import { isMaster$ } from './redis-master.js';
import { RedisPublisher } from './redis-publisher.js';
import { RedisSubscription } from './redis-subscription.js';
import type { World } from './world.js';

export interface RedisBrokerOptions {
  /** One life of a connection each time it is subscribed to (`redisLink$`), under a name that Redis shows. */
  readonly link: (name: string) => Observable<RedisLink>;
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
export function redisBroker({ link, channelPrefix, timeoutMs, world, metrics, log }: RedisBrokerOptions): Broker {
  const channels = roomChannels(channelPrefix);
  const verify = (life: RedisLink) => isMaster$(life, timeoutMs, world);
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
        link$: defer(() => link(`${channelPrefix}:subscription`)),
        live: (life) => subscription.live(life),
        status$: subscription.status$,
      }),
      lives$({
        ...connections,
        name: 'publisher',
        link$: defer(() => link(`${channelPrefix}:publisher`)),
        live: (life) => publisher.live(life),
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
