import { combineLatest, distinctUntilChanged, filter, ignoreElements, map, merge, tap, type Observable } from 'rxjs';
import type { BrokerEvent, BrokerStatus } from '../broker/broker.js';
import type { Logger } from '../runtime/log.js';
import type { Metrics } from '../runtime/metrics.js';
import { Canary } from './liveness/canary.js';
import type { RoomChannels } from './channels.js';
import type { RedisLink } from './link.js';
import { lives$ } from './liveness/reconnects.js';
import { DemotedError, type Verify } from './liveness/master.js';
import { RedisPublisher, type RedisPublisherOptions } from './publisher.js';
import { RedisSubscription, type RedisSubscriptionOptions } from './subscription.js';
import type { Runtime } from '../runtime/runtime.js';

export interface RedisNodeOptions
  extends Pick<RedisSubscriptionOptions, 'together' | 'refused' | 'certain'>, Pick<RedisPublisherOptions, 'misplaced'> {
  /** What its connections are called in reasons: `publisher` and `subscription`, and what is added here. */
  readonly suffix: string;
  /** Cold; one connection of that name (see `redisLink$`). */
  readonly link$: (name: 'publisher' | 'subscription') => Observable<RedisLink>;
  readonly verify: Verify;
  readonly channels: RoomChannels;
  readonly canaryChannel: () => string;
  readonly timeoutMs: number;
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** One server as the broker: one connection publishes, one is subscribed, each replaced when it fails. */
export interface RedisNode {
  /** Subscribing connects, unsubscribing leaves. Never completes or errors. */
  readonly events$: Observable<BrokerEvent>;
  readonly status$: Observable<BrokerStatus>;
  /** The present one. */
  readonly status: BrokerStatus;
  readonly publisher: RedisPublisher;
  readonly subscription: RedisSubscription;
}

export function redisNode(options: RedisNodeOptions): RedisNode {
  const { suffix, link$, channels, canaryChannel, timeoutMs, runtime, metrics, log, together, refused, certain, misplaced } =
    options;
  const publisher = new RedisPublisher({ time: runtime, timeoutMs, verify: options.verify, misplaced });
  // What one connection finds out concerns what went through the other.
  const verify: Verify = (link) =>
    options.verify(link).pipe(
      tap({
        error: (error: unknown) => {
          if (error instanceof DemotedError) publisher.suspect();
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
    time: runtime,
    channels,
    canary,
    publishable$: publisher.status$.pipe(filter(({ up }) => up)),
    verify,
    timeoutMs,
    log,
    onStray: (heard) => {
      publisher.giveUp(heard);
    },
    together,
    refused,
    certain,
    misplacedChannel: misplaced?.channel,
  });
  const life = { verify, runtime, metrics, log };
  const subscribed$ = lives$({
    ...life,
    name: `subscription${suffix}`,
    link$: link$('subscription'),
    live: (link) => subscription.live(link),
    status$: subscription.status$,
  });
  const publishing$ = lives$({
    ...life,
    name: `publisher${suffix}`,
    link$: link$('publisher'),
    live: (link) => publisher.live(link),
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
