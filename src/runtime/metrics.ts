import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { ERROR_CODES } from '../protocol/protocol.js';

/** The broker accepted a publish, or it failed with this code (docs/protocol.md, "Errors"). */
export type PublishOutcome = 'ok' | 'unavailable' | 'unconfirmed';

/** The events and values that the service counts. Labels outside their fixed list become `other`. */
export interface Metrics {
  /** A connection was opened, or has ended. */
  connections(change: 1 | -1): void;
  /** A room has its first member on this pod, or has lost its last. */
  rooms(change: 1 | -1): void;
  /** A message came from a client; its type is `invalid` where it failed its check. */
  received(type: string): void;
  /** A publish was confirmed or failed, this many seconds after it began. */
  published(outcome: PublishOutcome, seconds: number): void;
  /** Messages were written to a socket. */
  delivered(messages: number): void;
  /** A publication arrived, this many seconds after its timestamp. */
  deliveryLag(seconds: number): void;
  /** A connection ended; `messages` is the most that ever waited in its send buffer. */
  sendBufferHighWater(messages: number): void;
  /** A connection ended with this close code (RFC 6455 section 7.4). */
  closed(code: number): void;
  /** An upgrade was refused, by the `code` of its answer. */
  upgradeRefused(reason: string): void;
  /** An error was sent to a client. */
  errorSent(code: string): void;
  /** Publishing and receiving work, or do not. */
  brokerUp(up: boolean): void;
  /** The number of changes of presence that wait to be published, or are under way. */
  presenceWaiting(changes: number): void;
  /** The number of changes of presence that were given up. */
  presenceLost(changes: number): void;
  /** A connection to the broker was lost. */
  brokerReconnected(): void;
  /** A publication was no valid envelope. */
  brokerInvalid(): void;
  /** A handler failed, by its type, or middleware, by its name. */
  handlerFailed(type: string): void;
  /** A handler counts one of its events. */
  handlerEvent(type: string, event: string): void;
}

/** Metrics that count nothing. */
export const noMetrics: Metrics = {
  connections: noop,
  rooms: noop,
  received: noop,
  published: noop,
  delivered: noop,
  deliveryLag: noop,
  sendBufferHighWater: noop,
  closed: noop,
  upgradeRefused: noop,
  errorSent: noop,
  brokerUp: noop,
  presenceWaiting: noop,
  presenceLost: noop,
  brokerReconnected: noop,
  brokerInvalid: noop,
  handlerFailed: noop,
  handlerEvent: noop,
};

function noop(): void {
  // Counts nothing.
}

const MESSAGE_TYPES = ['chat', 'ping', 'pong', 'presence', 'notification', 'system', 'error', 'invalid'];
const CLOSE_CODES = [1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1011, 4000, 4001, 4002, 4500].map(String);
const REFUSALS = [
  ...['bad_request', 'bad_room', 'forbidden', 'method', 'overloaded', 'draining', 'origin', 'unauthorized'],
  ...['auth_unavailable', 'internal', 'no_descriptors'],
];
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const MESSAGES = [0, 1, 4, 16, 64, 128, 256];

/** The handlers and middleware whose types, names and events become labels. */
export interface MetricsOptions {
  readonly handlers?: readonly { readonly type: string; readonly events: readonly string[] }[] | undefined;
  readonly middleware?: readonly { readonly name: string; readonly events: readonly string[] }[] | undefined;
}

/** Metrics with a scrape endpoint. */
export interface ScrapedMetrics extends Metrics {
  readonly contentType: string;
  /** Prometheus' text format. */
  scrape(): Promise<string>;
}

/**
 * Metrics for Prometheus, with Node's own process metrics, event-loop lag among them.
 *
 * @param options the handlers and middleware that are given to `createChatServer`: their types and events become labels
 */
export function prometheusMetrics({ handlers = [], middleware = [] }: MetricsOptions = {}): ScrapedMetrics {
  const types = handlers.map(({ type }) => type);
  const extensions = [
    ...handlers.map(({ type, events }) => ({ type, events })),
    ...middleware.map(({ name, events }) => ({ type: name, events })),
  ];
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const { gauge, counter, histogram, labelled, events } = maker(registry);
  const connections = gauge('connections', 'Connections that are open.');
  const rooms = gauge('rooms', 'Rooms with a member on this pod.');
  const brokerUp = gauge('broker_up', 'Whether publisher and subscription are up (1) or not (0).');
  const presenceWaiting = gauge('presence_waiting', 'Changes of presence that wait to be published, or are under way.');
  const published = labelled('messages_published_total', 'Publishes by outcome.', 'outcome', [
    'ok',
    'unavailable',
    'unconfirmed',
  ]);
  const publishSeconds = histogram('publish_duration_seconds', 'From a publish to its confirmation or failure.', SECONDS);
  const closed = labelled('closes_total', 'Connections that ended, by close code.', 'code', CLOSE_CODES);
  return {
    connections: (change) => {
      connections.inc(change);
    },
    rooms: (change) => {
      rooms.inc(change);
    },
    received: labelled('messages_received_total', 'Messages from clients.', 'type', [...MESSAGE_TYPES, ...types]),
    published: (outcome, seconds) => {
      published(outcome);
      // A publish that was never sent took no time, and would make an outage look fast.
      if (outcome !== 'unavailable') publishSeconds(seconds);
    },
    delivered: counter('messages_delivered_total', 'Messages handed to a socket.'),
    deliveryLag: histogram('delivery_lag_seconds', "From an envelope's timestamp to its hand-over to the sockets.", SECONDS),
    sendBufferHighWater: histogram(
      'send_buffer_messages',
      'Most messages that ever waited for a connection, told at its end.',
      MESSAGES,
    ),
    closed: (code) => {
      closed(String(code));
    },
    upgradeRefused: labelled('upgrades_refused_total', 'Upgrades that were refused, by reason.', 'reason', REFUSALS),
    errorSent: labelled('errors_total', 'Errors sent to clients.', 'code', ERROR_CODES),
    brokerUp: (up) => {
      brokerUp.set(up ? 1 : 0);
    },
    presenceWaiting: (changes) => {
      presenceWaiting.set(changes);
    },
    presenceLost: counter('presence_lost_total', 'Changes of presence that were given up: their rooms were not told.'),
    brokerReconnected: counter('broker_reconnects_total', 'Connections to the broker that were lost and have to be replaced.'),
    brokerInvalid: counter('broker_invalid_total', 'Publications that were no valid envelope and were dropped.'),
    handlerFailed: labelled('handler_errors_total', 'Failures of handlers.', 'type', [
      ...extensions.map(({ type }) => type),
      'transform',
    ]),
    handlerEvent: events('handler_events_total', 'What handlers count of their own.', extensions),
    contentType: registry.contentType,
    scrape: () => registry.metrics(),
  };
}

/** Makes metrics as functions that count; each name gets the service's prefix. */
function maker(registry: Registry) {
  const base = (name: string, help: string) => ({ name: `chat_${name}`, help, registers: [registry] });
  return {
    gauge: (name: string, help: string) => new Gauge(base(name, help)),
    counter: (name: string, help: string) => {
      const metric = new Counter(base(name, help));
      return (count = 1) => {
        metric.inc(count);
      };
    },
    histogram: (name: string, help: string, buckets: number[]) => {
      const metric = new Histogram({ ...base(name, help), buckets });
      return (value: number) => {
        metric.observe(value);
      };
    },
    /** A counter by handler and event; an event that is not declared counts as `other`. */
    events: (
      name: string,
      help: string,
      extensions: readonly { readonly type: string; readonly events: readonly string[] }[],
    ) => {
      const metric = new Counter({ ...base(name, help), labelNames: ['type', 'event'] });
      const children = new Map(
        extensions.flatMap(({ type, events }) =>
          events.map((event) => [JSON.stringify([type, event]), metric.labels(type, event)] as const),
        ),
      );
      const other = metric.labels('other', 'other');
      for (const child of [other, ...children.values()]) child.inc(0);
      return (type: string, event: string) => {
        (children.get(JSON.stringify([type, event])) ?? other).inc();
      };
    },
    /** A counter by one label; a value outside the list counts as `other`. */
    labelled: (name: string, help: string, label: string, values: readonly string[]) => {
      const metric = new Counter({ ...base(name, help), labelNames: [label] });
      const other = metric.labels('other');
      // Made in advance: prom-client would hash the labels at every increment.
      const children = new Map(values.map((value) => [value, metric.labels(value)]));
      for (const child of [other, ...children.values()]) child.inc(0);
      return (value: string) => {
        (children.get(value) ?? other).inc();
      };
    },
  };
}
