import { Redis } from 'ioredis';
import { Observable, throwError, timeout, type ObservableInput } from 'rxjs';

/** A connection to Redis that is over, or that never came to be; the message says why. */
export class LinkError extends Error {}

/** A command was certainly not carried out: Redis refused it, or it never left. */
export class RefusedError extends Error {}

export interface RedisMessage {
  readonly channel: string;
  readonly payload: Buffer;
}

/**
 * One connection to Redis. Commands go out when called, in that order; each answers once, or errors with `RefusedError` or `LinkError`.
 */
export interface RedisLink {
  publish(channel: string, payload: string): Promise<unknown>;
  subscribe(channels: readonly string[]): ObservableInput<unknown>;
  /** What Redis says to it is of no concern: a link that can't say goodbye is at its end. */
  unsubscribe(channel: string): void;
  /** Any other command. */
  ask(command: string, ...args: readonly string[]): ObservableInput<unknown>;
  /** Grows as long as Redis says anything. */
  readonly receivedBytes: number;
  /** Hot: what comes through subscribed channels. */
  readonly message$: Observable<RedisMessage>;
}

export interface RedisLinkOptions {
  readonly url: string;
  /** What `CLIENT LIST` shows. */
  readonly name: string;
}

/** Connecting, logging in and the first answer may take so long together: a stopped server accepts connections and says nothing. */
const READY_TIMEOUT_MS = 3000;

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
      // Both would need commands that a user for chat alone has no other use for, INFO and CLIENT SETINFO; channels work while Redis loads.
      enableReadyCheck: false,
      disableClientInfo: true,
    });
    let reason = 'connection closed';
    client.on('error', (error: Error) => {
      reason = error.message;
    });
    client.on('close', () => {
      subscriber.error(new LinkError(reason));
    });
    client.connect().then(
      () => {
        subscriber.next(link(client));
      },
      (error: unknown) => {
        // The close that comes with it, or came before, may know more.
        if (error instanceof Error && reason === 'connection closed') reason = error.message;
        subscriber.error(new LinkError(reason));
      },
    );
    return () => {
      // On a connection that is closed already, ioredis would only leave a timer behind.
      if (client.status !== 'close' && client.status !== 'end') client.disconnect();
    };
  }).pipe(timeout({ first: READY_TIMEOUT_MS, with: () => throwError(() => new LinkError('no answer while connecting')) }));
}

function link(client: Redis): RedisLink {
  return {
    publish: (channel, payload) => client.publish(channel, payload).catch(asLinkError),
    subscribe: (channels) => client.subscribe(...channels).catch(asLinkError),
    unsubscribe: (channel) => {
      client.unsubscribe(channel).catch(() => undefined);
    },
    ask: (command, ...args) => client.call(command, ...args).catch(asLinkError),
    get receivedBytes() {
      return client.stream.bytesRead;
    },
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

// ioredis says so of what it neither sent nor queued.
const NEVER_SENT = "Stream isn't writeable";

function asLinkError(error: unknown): never {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  throw name === 'ReplyError' || message.startsWith(NEVER_SENT) ? new RefusedError(message) : new LinkError(message);
}
