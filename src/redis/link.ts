import { Redis } from 'ioredis';
import { Observable, fromEvent, throwError, timeout, type ObservableInput } from 'rxjs';
import type { RedisAddress } from './server.js';

/** A connection to Redis that is over, or that never came to be; the message says why. */
export class LinkError extends Error {}

/** A command was certainly not carried out: Redis refused it, or it never left. */
export class RefusedError extends Error {}

export interface RedisMessage {
  readonly channel: string;
  readonly payload: Buffer;
}

/** How a publish went; undefined is well. */
export type Settled = (error: RefusedError | LinkError | undefined) => void;

/**
 * One connection to Redis. Commands go out when called, in that order; each answers once, or errors with `RefusedError` or `LinkError`.
 */
export interface RedisLink {
  /** Tells once how it went; a callback, since a promise more for each message is felt. */
  publish(channel: string, payload: string, settled: Settled): void;
  subscribe(channels: readonly string[]): ObservableInput<unknown>;
  /** What Redis says to it is of no concern: a link that can't say goodbye is at its end. */
  unsubscribe(channel: string): void;
  /** Any other command. */
  ask(command: string, ...args: readonly string[]): ObservableInput<unknown>;
  /** Grows as long as Redis says anything. */
  receivedBytes(): number;
  /** Hot: what comes through subscribed channels. */
  readonly message$: Observable<RedisMessage>;
  /** Hot: of a sharded link, emits when its server has unsubscribed it from a channel whose slot was taken away. */
  readonly moved$: Observable<unknown>;
  /** The channels that it is subscribed to at present. */
  channels(): ReadonlySet<string>;
}

export interface RedisLinkOptions {
  readonly address: RedisAddress;
  /** What `CLIENT LIST` shows. */
  readonly name: string;
  /** Channels are a cluster's sharded ones. */
  readonly sharded?: boolean;
}

/** Makes connections: `redisLink$`, or what a simulation has instead. */
export type Connect = (options: RedisLinkOptions) => Observable<RedisLink>;

/** Connecting, logging in and the first answer may take so long together: a stopped server accepts connections and says nothing. */
const READY_TIMEOUT_MS = 3000;

/**
 * One life of a connection to Redis: emits it when it is ready, and errors with `LinkError` when it is over.
 *
 * Unsubscribing disconnects. It never reconnects, queues while offline, or sends anything twice: a new life is a new subscription.
 * The only place that knows ioredis.
 */
export function redisLink$({ address, name, sharded = false }: RedisLinkOptions): Observable<RedisLink> {
  return new Observable<RedisLink>((subscriber) => {
    const { host, port, username, password, tls } = address;
    // Values, not a URL: ioredis would let what its query says override these options.
    const client = new Redis({
      host,
      port,
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      ...(tls && { tls: {} }),
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
        subscriber.next(sharded ? shardedLink(client) : link(client));
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
    ...anyLink(client, 'subscribe', 'messageBuffer'),
    publish: (channel, payload, settled) => {
      gatherTurn(client.stream);
      settle(client.publish(channel, payload), settled);
    },
    subscribe: (channels) => client.subscribe(...channels).catch(rethrow),
    unsubscribe: (channel) => {
      client.unsubscribe(channel).catch(() => undefined);
    },
  };
}

function shardedLink(client: Redis): RedisLink {
  return {
    ...anyLink(client, 'ssubscribe', 'smessageBuffer'),
    publish: (channel, payload, settled) => {
      gatherTurn(client.stream);
      settle(client.spublish(channel, payload), settled);
    },
    subscribe: (channels) => client.ssubscribe(...channels).catch(rethrow),
    unsubscribe: (channel) => {
      client.sunsubscribe(channel).catch(() => undefined);
    },
  };
}

function anyLink(client: Redis, kind: 'subscribe' | 'ssubscribe', messageEvent: string) {
  return {
    ask: (command: string, ...args: readonly string[]) => client.call(command, ...args).catch(rethrow),
    receivedBytes: () => client.stream.bytesRead,
    message$: new Observable<RedisMessage>((subscriber) => {
      const listener = (channel: Buffer, payload: Buffer) => {
        subscriber.next({ channel: channel.toString(), payload });
      };
      client.on(messageEvent, listener);
      return () => {
        client.off(messageEvent, listener);
      };
    }),
    moved$: fromEvent(client, 'moved'),
    channels: () => new Set(client.condition?.subscriber ? client.condition.subscriber.channels(kind) : []),
  };
}

function settle(published: Promise<unknown>, settled: Settled): void {
  published.then(
    () => {
      settled(undefined);
    },
    (error: unknown) => {
      settled(asLinkError(error));
    },
  );
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
