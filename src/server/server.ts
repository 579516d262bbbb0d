import type { AddressInfo } from 'node:net';
import { BehaviorSubject, EMPTY, filter, lastValueFrom, merge, tap, type Observable } from 'rxjs';
import { authenticator } from '../auth/verify.js';
import { authorizeByClaims, type Authorize } from '../auth/grant.js';
import { Descriptors } from '../runtime/descriptors.js';
import type { Broker, BrokerStatus } from '../broker/broker.js';
import { configuredBroker } from './configured-broker.js';
import { checkConfig, type Settings } from '../config/config.js';
import { redactedConfig } from '../config/redact.js';
import { drain } from './drain.js';
import type { Handler } from '../handlers/handler.js';
import { builtInHandlers } from '../handlers/built-in/index.js';
import { createLogger, type Logger } from '../runtime/log.js';
import { collectGarbage } from '../runtime/memory.js';
import { prometheusMetrics, type Metrics, type ScrapedMetrics } from '../runtime/metrics.js';
import { createPod } from './pod.js';
import type { OutboundTransform } from '../connection/context.js';
import { Presence } from '../hub/presence.js';
import { Connections } from '../gateway/connections.js';
import { listenAll, listenersOf, stopAll } from '../gateway/listeners.js';
import { nodeRuntime } from '../runtime/node-runtime.js';
import type { Runtime } from '../runtime/runtime.js';
import { packageVersion } from '../runtime/version.js';
import type { Middleware } from '../handlers/middleware.js';

/** After this many connections have ended and none is left, garbage is collected at once. */
const MANY_CONNECTIONS = 1000;

/** The parts of a pod; an absent one is that of `npm start` with an empty environment. */
export interface ChatServerOptions {
  /** Limits and addresses, checked as environment variables are; `readConfig(process.env)` reads those. */
  readonly config?: Settings | undefined;
  /** The message types that clients may send: `[...builtInHandlers, mine]`. Absent, the built-in ones. */
  readonly handlers?: readonly Handler[] | undefined;
  /** Middleware around all handlers, the first of it outermost. */
  readonly middleware?: readonly Middleware[] | undefined;
  /** Transforms what each connection receives of its rooms; absent, everything is received as it was published. */
  readonly transform?: OutboundTransform | undefined;
  /** The broker that joins the pods; absent, the one that the configuration names. */
  readonly broker?: Broker | undefined;
  /** Decides what the owner of a token may do; absent, by the claims. Not called without authentication. */
  readonly authorize?: Authorize | undefined;
  /** Absent, JSON lines on standard output at the configuration's level. */
  readonly logger?: Logger | undefined;
  /** The metrics of `/metrics`; absent, those of `prometheusMetrics` with labels for these handlers. */
  readonly metrics?: ScrapedMetrics | undefined;
  /** Time, ids and random numbers, for tests. */
  readonly runtime?: Runtime | undefined;
}

/** A pod, before, while and after it serves. */
export interface ChatServer {
  /** @returns the address on which it listens. Rejects with Node's error where it cannot: `EADDRINUSE`, `EACCES`, … */
  listen(): Promise<AddressInfo>;
  /** Drains: sends every client `shutdown`, closes all connections, then leaves the broker, within `shutdownDelayMs` and `shutdownTimeoutMs`. Resolves when nothing is left. */
  close(): Promise<void>;
}

/**
 * Puts one pod together: broker, hub, gateway and HTTP servers. Before `listen` it only connects to its broker and fetches the JWKS.
 *
 * @throws ConfigError for invalid settings, two handlers of one type, or a handler of one of the server's types
 */
export function createChatServer(options: ChatServerOptions = {}): ChatServer {
  const { config, authorize, ...parts } = completed(options);
  const { runtime, metrics, log } = parts;
  const pod = createPod({ ...parts, limits: config });
  const authentication = config.authEnabled ? authenticator(config, runtime, log) : undefined;
  const admission = authentication && { authenticate: authentication.authenticate, authorize, log };
  const descriptors = new Descriptors();
  const gateway = new Connections(pod, config, admission);
  const status$ = new BehaviorSubject<BrokerStatus>({ up: false, reason: 'not connected yet' });
  const running = merge(
    observed(parts.broker.status$, status$, metrics, log),
    pod.clock.tick$.pipe(
      tap(() => {
        gateway.tick();
        descriptors.check();
      }),
    ),
    pod.held.changed$.pipe(
      tap(() => {
        gateway.hold(pod.held.isFull);
      }),
    ),
    emptied$(gateway).pipe(tap(collectGarbage)),
    authentication?.kept$ ?? EMPTY,
  ).subscribe();
  const presence = new Presence(pod, config.presenceMaxMembers);
  const { scheduler } = runtime;
  const keysProblem = () => authentication?.problem();
  const listeners = listenersOf({
    config,
    log,
    metrics,
    connections: gateway,
    scheduler,
    descriptors,
    status: () => status$.value,
    keysProblem,
  });
  return {
    listen: async () => {
      warnOfLimit(descriptors, config.maxConnections, log);
      const address = await listenAll(listeners, config.host, log);
      log.info({ version: packageVersion(), node: process.version, config: redactedConfig(config), ...address }, 'listening');
      return address;
    },
    close: async () => {
      const { connections, ended$ } = gateway;
      const { shutdownDelayMs: delayMs, shutdownTimeoutMs: timeoutMs } = config;
      gateway.drain();
      log.info({ connections: connections.size }, 'draining');
      // Presence is published for clients that leave by themselves, during the delay too, and not for those that the drain closes.
      const closing$ = presence.stop$;
      await lastValueFrom(drain({ connections, ended$, delayMs, timeoutMs, runtime, closing$ }), { defaultValue: undefined });
      await stopAll(listeners);
      running.unsubscribe();
      presence.unsubscribe();
      descriptors.close();
      pod.hub.close();
      log.info('stopped');
    },
  };
}

/** The options, with defaults for those that are absent. */
function completed(options: ChatServerOptions) {
  const {
    handlers = builtInHandlers,
    middleware = [],
    transform,
    authorize = authorizeByClaims,
    runtime = nodeRuntime,
  } = options;
  const config = checkConfig(options.config ?? {});
  const { logger: log = createLogger(config.logLevel), metrics = prometheusMetrics({ handlers, middleware }) } = options;
  const { broker = configuredBroker(config, { runtime, metrics, log }) } = options;
  return { config, handlers, middleware, transform, authorize, broker, runtime, metrics, log };
}

/** Warns at the start of what would otherwise show only under load. */
function warnOfLimit({ limit }: Descriptors, maxConnections: number, log: Logger): void {
  const needed = Descriptors.needed(maxConnections);
  if (limit !== undefined && limit < needed) log.warn({ limit, needed }, 'the limit of open files (ulimit -n) is low');
}

/** Emits when the last of many connections has ended. */
function emptied$({ connections, ended$ }: Connections): Observable<unknown> {
  let ended = 0;
  return ended$.pipe(
    filter(() => {
      ended += 1;
      if (connections.size > 0 || ended < MANY_CONNECTIONS) return false;
      ended = 0;
      return true;
    }),
  );
}

/** Keeps the broker's latest status, reports it to the metrics, and logs when it becomes ready or not ready. */
function observed(
  of$: Observable<BrokerStatus>,
  status$: BehaviorSubject<BrokerStatus>,
  metrics: Metrics,
  log: Logger,
): Observable<unknown> {
  return of$.pipe(
    tap((now) => {
      metrics.brokerUp(now.up);
      if (now.up !== status$.value.up) log.info({ broker: now }, now.up ? 'ready' : 'not ready');
      status$.next(now);
    }),
  );
}
