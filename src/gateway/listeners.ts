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
import { AUTH_UNAVAILABLE, DRAINING, NO_DESCRIPTORS } from '../http/refusal.js';

/** An HTTP server and its port. */
export interface Listener {
  readonly server: Server;
  readonly port: number;
}

export interface ListenersOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: ScrapedMetrics;
  readonly connections: Connections;
  readonly scheduler: SchedulerLike;
  readonly descriptors: Descriptors;
  /** The broker's status now. */
  readonly status: () => BrokerStatus;
  /** Why no token can be checked; undefined without authentication, or where tokens can be checked. */
  readonly keysProblem: () => string | undefined;
}

/**
 * The number of connections that may wait to be accepted, as far as the kernel allows (`net.core.somaxconn`). A client beyond it tries again after one second,
 * two, and four: with Node's default of 511, thousands that reconnect at once would take ten seconds.
 */
const BACKLOG = 4096;

/** The listener for WebSockets and health and, where metrics have a port of their own, one for them. */
export function listenersOf(options: ListenersOptions): readonly [Listener, ...Listener[]] {
  const { config, log, metrics, connections, scheduler, descriptors } = options;
  const { metricsPort, upgradeTimeoutMs: headersTimeoutMs } = config;
  const health = healthPages(options);
  const scrape = [['/metrics', metricsPage(metrics)]] as const;
  const webSockets: WebSocketEndpoint = {
    basePath: config.basePath,
    onUpgrade: (upgrade, request) => {
      connections.receive(upgrade, request);
    },
  };
  const listener = (
    port: number,
    pages: readonly (readonly [string, Page])[],
    more: { webSockets?: WebSocketEndpoint } = {},
  ): Listener => ({
    server: httpServer({ pages: new Map(pages), log, scheduler, descriptors, headersTimeoutMs, ...more }),
    port,
  });
  if (metricsPort === undefined) return [listener(config.port, [...health, ...scrape], { webSockets })];
  const main = listener(config.port, health, { webSockets });
  return metricsPort === 'off' ? [main] : [main, listener(metricsPort, scrape)];
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

/** Closes the servers and all their connections; resolves when all are closed. */
export async function stopAll(listeners: readonly Listener[]): Promise<void> {
  await Promise.all(listeners.map(stop));
}

/** `/healthz` and `/readyz`. */
function healthPages({ status, connections, descriptors, keysProblem }: ListenersOptions): readonly (readonly [string, Page])[] {
  const json = (body: object) => ({ status: 200, contentType: JSON_TYPE, body: JSON.stringify(body) });
  const ready = () => {
    const broker = status();
    if (connections.draining) return refusalAnswer(DRAINING);
    descriptors.check();
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
      // Only a pipe's address is a text.
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
