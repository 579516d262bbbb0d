import {
  combineLatest,
  defer,
  distinctUntilChanged,
  ignoreElements,
  map,
  merge,
  retry,
  switchMap,
  timer,
  type BehaviorSubject,
  type Observable,
} from 'rxjs';
import type { Broker, BrokerStatus } from './broker.js';
import type { Logger } from './log.js';
import type { Metrics } from './metrics.js';
import { roomChannels } from './redis-channels.js';
import type { RedisLink } from './redis-link.js';
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

/** Retries wait at most this long, so that readiness follows Redis within seconds. */
const MAX_RETRY_MS = 2000;
const FIRST_RETRY_MS = 50;

/**
 * Redis as the broker: one connection publishes, one is subscribed, each replaced when it fails.
 * Chat over it is at most once; every loss that a replaced subscription can mean is told by a gap.
 */
export function redisBroker({ link, channelPrefix, timeoutMs, world, metrics, log }: RedisBrokerOptions): Broker {
  const { scheduler } = world;
  const channels = roomChannels(channelPrefix);
  const publisher = new RedisPublisher({ scheduler, timeoutMs });
  const subscription = new RedisSubscription({ scheduler, channels, timeoutMs });

  /** One life after another, each begun later the more came to nothing before it, and by chance, so that pods don't come back together. */
  const lives = <T>(name: string, status$: BehaviorSubject<BrokerStatus>, live: (link: RedisLink) => Observable<T>) => {
    let failures = 0;
    const fail = (error: Error) => {
      const reason = `${name}: ${error.message}`;
      const before = status$.value;
      if (before.up) {
        failures = 0;
        metrics.brokerReconnected();
      }
      if (before.up || before.reason !== reason) log.warn({ reason }, 'broker connection lost');
      failures += 1;
      status$.next({ up: false, reason });
    };
    return defer(() => link(`${channelPrefix}:${name}`)).pipe(
      switchMap(live),
      retry({
        delay: (error: Error) => {
          fail(error);
          return timer(world.random() * Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** failures), scheduler);
        },
      }),
    );
  };

  return {
    events$: merge(
      lives('subscription', subscription.status$, (life) => subscription.live(life)),
      lives('publisher', publisher.status$, (life) => publisher.live(life)).pipe(ignoreElements()),
    ),
    status$: combineLatest([publisher.status$, subscription.status$]).pipe(
      map(([publishing, subscribed]) => (publishing.up ? subscribed : publishing)),
      distinctUntilChanged(),
    ),
    subscribe: (room) => subscription.subscribe(room),
    publish: (room, payload) => publisher.publish(channels.channelOf(room), payload),
  };
}
