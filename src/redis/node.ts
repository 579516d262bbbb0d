import { combineLatest, distinctUntilChanged, filter, ignoreElements, map, merge, tap, type Observable } from 'rxjs';
import type { BrokerEvent, BrokerStatus } from '../broker/broker.js';
import type { Logger } from '../runtime/log.js';
import type { Metrics } from '../runtime/metrics.js';
import type { Runtime } from '../runtime/runtime.js';
import type { RoomChannels } from './channels.js';
import type { RedisLink } from './link.js';
import { Canary } from './liveness/canary.js';
import { DemotedError, type Verify } from './liveness/master.js';
import { reconnecting$ } from './liveness/reconnects.js';
import { RedisPublisher, type RedisPublisherOptions } from './publisher.js';
import { RedisSubscription, type RedisSubscriptionOptions } from './subscription.js';

export interface RedisNodeOptions
  extends
    Pick<RedisSubscriptionOptions, 'batches' | 'isElsewhere' | 'ownerConfirmedAt'>,
    Pick<RedisPublisherOptions, 'announce' | 'verify' | 'timeoutMs'> {
  /** Follows `publisher` and `subscription` in reasons. */
  readonly suffix: string;
  /** Cold; one connection of that name (see `redisLink$`). */
  readonly link$: (name: 'publisher' | 'subscription') => Observable<RedisLink>;
  readonly channels: RoomChannels;
  readonly canaryChannel: () => string;
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** A connection that publishes to a Redis server and one that subscribes there, each replaced when it fails. */
export interface RedisNode {
  /** Subscribing connects, unsubscribing disconnects. Never completes or errors. */
  readonly events$: Observable<BrokerEvent>;
  readonly status$: Observable<BrokerStatus>;
  /** The present status. */
  readonly status: BrokerStatus;
  readonly publisher: RedisPublisher;
  readonly subscription: RedisSubscription;
}

export function redisNode(options: RedisNodeOptions): RedisNode {
  const { suffix, link$, canaryChannel, timeoutMs, runtime, metrics, log, announce } = options;
  const publisher = new RedisPublisher({ time: runtime, timeoutMs, verify: options.verify, announce });
  // A demotion that the subscription notices concerns the publisher, too.
  const verify: Verify = (link) =>
    options.verify(link).pipe(
      tap({
        error: (error: unknown) => {
          if (error instanceof DemotedError) publisher.masterDemoted();
        },
      }),
    );
  const canary = new Canary({
    channel: canaryChannel,
    publish: (channel, payload) => publisher.publish(channel, payload, false),
    timeoutMs,
    time: runtime,
  });
  const subscription = new RedisSubscription({
    ...options,
    time: runtime,
    canary,
    publishable$: publisher.status$.pipe(filter(({ up }) => up)),
    verify,
    onLostCanary: (lastArrived) => {
      publisher.canaryLost(lastArrived);
    },
    announcementChannel: announce?.channel,
  });
  const shared = { verify, runtime, metrics, log };
  const subscribed$ = reconnecting$({
    ...shared,
    name: `subscription${suffix}`,
    link$: link$('subscription'),
    session$: (link) => subscription.session$(link),
    status$: subscription.status$,
  });
  const publishing$ = reconnecting$({
    ...shared,
    name: `publisher${suffix}`,
    link$: link$('publisher'),
    session$: (link) => publisher.session$(link),
    status$: publisher.status$,
  });
  return {
    events$: merge(subscribed$, publishing$.pipe(ignoreElements())),
    status$: combineLatest([publisher.status$, subscription.status$]).pipe(map(both), distinctUntilChanged()),
    get status() {
      return both([publisher.status$.value, subscription.status$.value]);
    },
    publisher,
    subscription,
  };
}

function both([publishing, subscribed]: readonly [BrokerStatus, BrokerStatus]): BrokerStatus {
  return publishing.up ? subscribed : publishing;
}
