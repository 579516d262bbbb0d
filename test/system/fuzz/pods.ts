import { map, throwError } from 'rxjs';
import Type from 'typebox';
import {
  PublishError,
  builtInHandlers,
  createChatServer,
  handler,
  memoryBroker,
  prometheusMetrics,
  readConfig,
  close,
  silentLogger,
  type Broker,
  type ChatServer,
} from '../../../src/index.js';
import { SECRET } from '../../support/token.js';

/** A pod in this process, as anybody builds one from the package. */
export interface FuzzedPod {
  readonly port: number;
  readonly server: ChatServer;
  /** How often each value of a metric's label has counted. */
  counted(metric: string): Promise<ReadonlyMap<string, number>>;
  /** The value of a metric without labels. */
  value(metric: string): Promise<number>;
}

/** Does what the content of a message says: `refuse…` is not published, of `doubt…` nobody knows. */
function moodyBroker(): Broker {
  const broker = memoryBroker();
  return {
    events$: broker.events$,
    status$: broker.status$,
    subscribe: (room) => broker.subscribe(room),
    publish: (room, payload) => {
      const { content = '' } = (JSON.parse(payload) as { data: { content?: string } }).data;
      if (content.startsWith('refuse')) return throwError(() => new PublishError('unavailable', 'as asked'));
      if (content.startsWith('doubt')) return throwError(() => new PublishError('unconfirmed', 'as asked'));
      return broker.publish(room, payload);
    },
  };
}

/** Its replies cannot be written: a bug that only the connection can contain. */
const boom = handler('boom', Type.Unknown(), (message$) => message$.pipe(map(() => close(1011, 'boom'))));

export async function startPod(environment: Readonly<Record<string, string>>): Promise<FuzzedPod> {
  const metrics = prometheusMetrics();
  const server = createChatServer({
    config: readConfig({ HOST: '127.0.0.1', PORT: '0', PRESENCE_MAX_MEMBERS: '0', ...environment }),
    handlers: [...builtInHandlers, boom],
    broker: moodyBroker(),
    metrics,
    // A connection that fails is meant to, here.
    logger: silentLogger,
  });
  const { port } = await server.listen();
  const counted = async (metric: string) => {
    const lines = (await metrics.scrape()).matchAll(new RegExp(`^chat_${metric}{\\w+="([^"]*)"} (\\d+)$`, 'gm'));
    return new Map([...lines].map(([, label = '', count]) => [label, Number(count)]));
  };
  const value = async (metric: string) => Number(new RegExp(`^chat_${metric} (\\d+)$`, 'm').exec(await metrics.scrape())?.[1]);
  return { port, server, counted, value };
}

export const GUARDED = { AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET };
