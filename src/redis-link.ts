import { Redis } from 'ioredis';
import { Observable, throwError, timeout } from 'rxjs';

/** A connection to Redis that is over, or that never came to be; the message says why. */
export class LinkError extends Error {}

/** A command was certainly not carried out: Redis refused it, or it never left. */
export class RefusedError extends Error {}

export interface RedisMessage {
  readonly channel: string;
  readonly payload: Buffer;
}

/** One connection to a Redis that has proven to be a master. Promises reject with `RefusedError` or `LinkError`. */
export interface RedisLink {
  /** Tells once how it went; a callback, since a promise more for each message is felt. */
  publish(channel: string, payload: string, settled: (error: RefusedError | LinkError | undefined) => void): void;
  subscribe(channels: readonly string[]): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  /** Hot: what comes through subscribed channels. */
  readonly message$: Observable<RedisMessage>;
}

export interface RedisLinkOptions {
  readonly url: string;
  /** What `CLIENT LIST` shows. */
  readonly name: string;
}

/** Connecting, logging in and the first answer may take so long together: a stopped server accepts connections and says nothing. */
const READY_TIMEOUT_MS = 5000;

/**
 * One life of a connection to Redis: emits it when it is ready, and errors with `LinkError` when it is over.
 *
 * Unsubscribing disconnects. It never reconnects, queues while offline, or sends anything twice: a new life is a new subscription.
 * The only place that knows ioredis.
 */
export function redisLink$({ url, name }: RedisLinkOptions): Observable<RedisLink> {
  return new Observable<RedisLink>((subscriber) => {
    const client = new Redis(url, {
      connectionName: name,
      connectTimeout: READY_TIMEOUT_MS,
      lazyConnect: true,
      retryStrategy: () => null,
      autoResubscribe: false,
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
    });
    let reason = 'connection closed';
    client.on('error', (error: Error) => {
      reason = error.message;
    });
    client.on('close', () => {
      subscriber.error(new LinkError(reason));
    });
    client
      .connect()
      .then(() => askRole(client))
      .then(() => {
        subscriber.next(link(client));
      })
      .catch((error: unknown) => {
        subscriber.error(error instanceof LinkError ? error : new LinkError(error instanceof Error ? error.message : reason));
      });
    return () => {
      // On a connection that is closed already, ioredis would only leave a timer behind.
      if (client.status !== 'close' && client.status !== 'end') client.disconnect();
    };
  }).pipe(timeout({ first: READY_TIMEOUT_MS, with: () => throwError(() => new LinkError('no answer while connecting')) }));
}

/** A replica takes publishes too, and they reach nobody but its own subscribers. */
async function askRole(client: Redis): Promise<void> {
  const [role] = await client.role();
  if (role !== 'master') throw new LinkError(`the server is a ${String(role)}, not a master`);
}

function link(client: Redis): RedisLink {
  return {
    publish: (channel, payload, settled) => {
      gatherTurn(client.stream);
      client.publish(channel, payload).then(
        () => {
          settled(undefined);
        },
        (error: unknown) => {
          settled(asLinkError(error));
        },
      );
    },
    subscribe: (channels) => client.subscribe(...channels).catch(rethrow),
    unsubscribe: (channel) => client.unsubscribe(channel).catch(rethrow),
    message$: new Observable((subscriber) => {
      const listener = (channel: Buffer, payload: Buffer) => {
        subscriber.next({ channel: channel.toString(), payload });
      };
      client.on('messageBuffer', listener);
      return () => {
        client.off('messageBuffer', listener);
      };
    }),
  };
}

/** What is written in one turn of the event loop leaves in one system call, which costs more than all else of a publish. */
function gatherTurn(stream: Redis['stream']): void {
  if (stream.writableCorked > 0) return;
  stream.cork();
  setImmediate(() => {
    stream.uncork();
  });
}

// ioredis says so of what it neither sent nor queued.
const NEVER_SENT = "Stream isn't writeable";

function asLinkError(error: unknown): RefusedError | LinkError {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return name === 'ReplyError' || message.startsWith(NEVER_SENT) ? new RefusedError(message) : new LinkError(message);
}

function rethrow(error: unknown): never {
  throw asLinkError(error);
}
