import type { AddressInfo } from 'node:net';
import { BehaviorSubject, EMPTY, filter, lastValueFrom, merge, tap, type Observable } from 'rxjs';
import { authenticator } from './entrance/auth.js';
import { authorizeByClaims, type Authorize } from './entrance/authorize.js';
import { Descriptors } from './entrance/descriptors.js';
import type { Broker, BrokerStatus } from './broker/broker.js';
import { configuredBroker } from './broker/configured.js';
import { checkConfig, type Settings } from './config.js';
import { drain } from './connection/drain.js';
import type { Handler } from './handling/handler.js';
import { builtInHandlers } from './handlers/index.js';
import { createLogger, type Logger } from './log.js';
import { collectGarbage } from './memory.js';
import { prometheusMetrics, type Metrics, type ScrapedMetrics } from './metrics.js';
import { createPod, type Hearing } from './pod.js';
import { Presence } from './hub/presence.js';
import { Reception } from './entrance/reception.js';
import { listenAll, sitesOf, stopAll } from './entrance/sites.js';
import { nodeWorld } from './world-node.js';
import type { World } from './world.js';
import type { Wrap } from './handling/wrap.js';

/** When so many have come and gone and nobody is left, what they took is given back. */
const MANY_CONNECTIONS = 1000;

/** What a pod is made of; what is absent is as `npm start` has it with an empty environment. */
export interface ChatServerOptions {
  /** Limits and addresses, checked as environment variables are; `readConfig(process.env)` reads those. */
  readonly config?: Settings | undefined;
  /** The message types that clients may send: `[...builtInHandlers, mine]`. Absent, the built-in ones. */
  readonly handlers?: readonly Handler[] | undefined;
  /** What goes around all handlers, the first of them outermost. */
  readonly around?: readonly Wrap[] | undefined;
  /** How each connection hears what is said in its rooms; absent, all as it was said. */
  readonly hear?: Hearing | undefined;
  /** What joins the pods; absent, the one that the configuration names. */
  readonly broker?: Broker | undefined;
  /** What a token's owner may do; absent, the claims say it. Not asked without authentication. */
  readonly authorize?: Authorize | undefined;
  /** Absent, JSON lines on standard output at the configuration's level. */
  readonly logger?: Logger | undefined;
  /** What `/metrics` shows; absent, those of `prometheusMetrics` with the labels of these handlers. */
  readonly metrics?: ScrapedMetrics | undefined;
  /** Time, ids and chance, for tests. */
  readonly world?: World | undefined;
}

/** A pod that serves, or did. */
export interface ChatServer {
  /** @returns where it listens. Rejects where it can't, with Node's error: `EADDRINUSE`, `EACCES`, … */
  listen(): Promise<AddressInfo>;
  /** Tells every client to come back later, closes, then leaves broker and network: within `shutdownDelayMs` and `shutdownTimeoutMs`. Resolves when nothing is left. */
  close(): Promise<void>;
}

/**
 * One pod: its broker, hub, reception and HTTP servers, put together. It does nothing before `listen` but to connect to its broker and to fetch the keys of tokens.
 *
 * @throws ConfigError for settings that make no sense, two handlers of one type, or one of a type that is the server's
 */
export function createChatServer(options: ChatServerOptions = {}): ChatServer {
  const { config, authorize, ...parts } = completed(options);
  const { world, metrics, log } = parts;
  const pod = createPod({ ...parts, limits: config });
  const authentication = config.authEnabled ? authenticator(config, world, log) : undefined;
  const gatekeeper = authentication && { authenticate: authentication.authenticate, authorize, log };
  const descriptors = new Descriptors();
  const reception = new Reception(pod, config, gatekeeper);
  const status$ = new BehaviorSubject<BrokerStatus>({ up: false, reason: 'not connected yet' });
  const running = merge(
    followed(pod.broker.status$, status$, metrics, log),
    pod.pulse.tick$.pipe(
      tap(() => {
        reception.tick();
        descriptors.look();
      }),
    ),
    pod.held.changed$.pipe(
      tap(() => {
        reception.hold(pod.held.isFull);
      }),
    ),
    emptied$(reception).pipe(tap(collectGarbage)),
    authentication?.kept$ ?? EMPTY,
  ).subscribe();
  const telling = new Presence(pod, config.presenceMaxMembers);
  const { scheduler } = world;
  const keysProblem = () => authentication?.problem();
  const sites = sitesOf({ config, log, metrics, reception, scheduler, descriptors, status: () => status$.value, keysProblem });
  return {
    listen: () => {
      warnOfLimit(descriptors, config.maxConnections, log);
      return listenAll(sites, config.host, log);
    },
    close: async () => {
      const { connections, ended$ } = reception;
      const { shutdownDelayMs: delayMs, shutdownTimeoutMs: timeoutMs } = config;
      reception.drain();
      log.info({ connections: connections.size }, 'draining');
      // Presence tells of clients that leave by themselves, during the delay too, and not of those that the drain closes.
      const closing$ = telling.stop$;
      await lastValueFrom(drain({ connections, ended$, delayMs, timeoutMs, world, closing$ }), { defaultValue: undefined });
      await stopAll(sites);
      running.unsubscribe();
      telling.unsubscribe();
      descriptors.close();
      pod.hub.close();
      log.info('stopped');
    },
  };
}

/** The options with what they leave out. */
function completed(options: ChatServerOptions) {
  const { handlers = builtInHandlers, around = [], hear, authorize = authorizeByClaims, world = nodeWorld } = options;
  const config = checkConfig(options.config ?? {});
  const { logger: log = createLogger(config.logLevel), metrics = prometheusMetrics({ handlers, around }) } = options;
  const { broker = configuredBroker(config, { world, metrics, log }) } = options;
  return { config, handlers, around, hear, authorize, broker, world, metrics, log };
}

/** Says at the start what would otherwise show under load. */
function warnOfLimit({ limit }: Descriptors, maxConnections: number, log: Logger): void {
  const needed = Descriptors.needed(maxConnections);
  if (limit !== undefined && limit < needed) log.warn({ limit, needed }, 'the limit of open files (ulimit -n) is low');
}

/** Emits when the last of many connections has ended. */
function emptied$({ connections, ended$ }: Reception): Observable<unknown> {
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

/** Keeps the broker's present status, counts it, and logs where it becomes ready or stops being so. */
function followed(
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
