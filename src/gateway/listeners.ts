import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SchedulerLike } from 'rxjs';
import type { BrokerStatus } from '../broker/broker.js';
import type { Config } from '../config/config.js';
import { JSON_TYPE, refusalAnswer, type Page } from '../http/answer.js';
import type { Descriptors } from '../runtime/descriptors.js';
import { httpServer, type WebSocketEndpoint } from '../http/server.js';
import type { Logger } from '../runtime/log.js';
import type { ScrapedMetrics } from '../runtime/metrics.js';
import type { Connections } from './connections.js';
import { AUTH_UNAVAILABLE, DRAINING, NO_DESCRIPTORS } from '../http/request.js';

/** An HTTP server and where it is to listen. */
export interface Listener {
  readonly server: Server;
  readonly port: number;
}

export interface ListenersOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: ScrapedMetrics;
  readonly reception: Connections;
  readonly scheduler: SchedulerLike;
  readonly descriptors: Descriptors;
  /** The broker's. */
  readonly status: () => BrokerStatus;
  /** Why no token can be checked; undefined where none need be, or all can. */
  readonly keysProblem: () => string | undefined;
}

/**
 * The number of connections that may wait while the pod does something else, as far as the kernel lets it (`net.core.somaxconn`). Who finds no place tries again a
 * second later, and two, and four: with Node's 511, thousands who come back at once would take ten seconds.
 */
const BACKLOG = 4096;

/** One for WebSockets and health, then, where the metrics have a port of their own, one for them. */
export function listenersOf(options: ListenersOptions): readonly [Listener, ...Listener[]] {
  const { config, log, metrics, reception, scheduler, descriptors } = options;
  const { metricsPort, upgradeTimeoutMs: headersTimeoutMs } = config;
  const health = healthPages(options);
  const scrape = [['/metrics', metricsPage(metrics)]] as const;
  const webSockets: WebSocketEndpoint = {
    basePath: config.basePath,
    onUpgrade: (upgrade, request) => {
      reception.receive(upgrade, request);
    },
  };
  const site = (
    port: number,
    pages: readonly (readonly [string, Page])[],
    more: { webSockets?: WebSocketEndpoint } = {},
  ): Listener => ({
    server: httpServer({ pages: new Map(pages), log, scheduler, descriptors, headersTimeoutMs, ...more }),
    port,
  });
  if (metricsPort === undefined) return [site(config.port, [...health, ...scrape], { webSockets })];
  const main = site(config.port, health, { webSockets });
  return metricsPort === 'off' ? [main] : [main, site(metricsPort, scrape)];
}

/** @returns where the first of them listens; rejects where one can't, with Node's error */
export async function listenAll(
  [main, ...others]: readonly [Listener, ...Listener[]],
  host: string,
  log: Logger,
): Promise<AddressInfo> {
  const address = await listen(main, host);
  for (const other of others) log.info(await listen(other, host), 'metrics listening');
  return address;
}

/** Ends what is under way too. Resolves when none of them is left. */
export async function stopAll(sites: readonly Listener[]): Promise<void> {
  await Promise.all(sites.map(stop));
}

/** Whether the process lives and may be sent clients. */
function healthPages({ status, reception, descriptors, keysProblem }: ListenersOptions): readonly (readonly [string, Page])[] {
  const json = (body: object) => ({ status: 200, contentType: JSON_TYPE, body: JSON.stringify(body) });
  const ready = () => {
    const broker = status();
    if (reception.draining) return refusalAnswer(DRAINING);
    descriptors.look();
    if (descriptors.areUsedUp) return refusalAnswer(NO_DESCRIPTORS);
    if (!broker.up) return refusalAnswer({ status: 503, code: 'broker_down', message: broker.reason });
    const problem = keysProblem();
    if (problem !== undefined) return refusalAnswer({ ...AUTH_UNAVAILABLE, message: problem });
    return json({ status: 'ready' });
  };
  return [
    ['/healthz', () => json({ status: 'alive' })],
    ['/readyz', ready],
  ];
}

function metricsPage(metrics: ScrapedMetrics): Page {
  return async () => ({ status: 200, contentType: metrics.contentType, body: await metrics.scrape() });
}

function listen({ server, port }: Listener, host: string): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host, backlog: BACKLOG }, () => {
      server.off('error', reject);
      // A TCP server's address is never a pipe's name.
      resolve(server.address() as AddressInfo);
    });
  });
}

function stop({ server }: Listener): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
    server.closeAllConnections();
  });
}
