import { Redis } from 'ioredis';
import dataHandler from 'ioredis/built/DataHandler.js';
import { Observable, fromEvent, throwError, timeout, type ObservableInput } from 'rxjs';
import type { RedisAddress } from './server.js';

/** A connection to Redis that is over, or that never came to be; the message says why. */
export class LinkError extends Error {
  static of(error: unknown): LinkError {
    return error instanceof LinkError ? error : new LinkError(error instanceof Error ? error.message : String(error));
  }
}

/** A command was certainly not carried out: Redis refused it, or it never left. */
export class RefusedError extends Error {}

export interface RedisMessage {
  readonly channel: string;
  readonly payload: Buffer;
}

/** How a publish went; undefined is well. */
export type Settled = (error: RefusedError | LinkError | undefined) => void;

/**
 * One connection to Redis. Commands go out when called, in that order; each answers once, or errors with `RefusedError` or `LinkError`,
 * unless the link itself ends for a malformed answer.
 */
export interface RedisLink {
  /** Tells once how it went; a callback, since a promise more for each message is felt. */
  publish(channel: string, payload: string, settled: Settled): void;
  subscribe(channels: readonly string[]): ObservableInput<unknown>;
  /** What Redis says to it is of no concern: a link that can't say goodbye is at its end. */
  unsubscribe(channels: readonly string[]): void;
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

/** No reply and no message is larger: Redis itself drops a subscriber that has more than its `client-output-buffer-limit` to read. */
const MAX_REPLY_BYTES = 64 * 1024 * 1024;

/** ioredis' client, which can be ended for what Redis said. */
class RedisClient extends Redis {
  /** Why the connection is ended though Redis did not close it; undefined while it is not. */
  fault: string | undefined;
  /** What came of a reply that is not whole yet. */
  #unreadBytes = 0;

  /** Ends the connection at once; what else it received is not read. */
  fail(fault: string): void {
    if (this.fault !== undefined) return;
    this.fault = fault;
    if (this.status === 'connect' || this.status === 'ready') this.stream.destroy();
  }

  /** Handles one whole reply. */
  handle(reply: () => void): void {
    this.#unreadBytes = 0;
    if (this.fault !== undefined) return;
    try {
      reply();
    } catch (error) {
      this.fail(`malformed reply: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** What ioredis has read already. */
  received(bytes: number): void {
    this.#unreadBytes += bytes;
    if (this.#unreadBytes > MAX_REPLY_BYTES) this.fail(`a reply is larger than ${MAX_REPLY_BYTES} bytes`);
  }
}

/**
 * ioredis throws what a reply of another shape makes it throw from `process.nextTick`, where nobody can catch it and the process ends.
 * Its clients know no option for that. Clients of others stay as they are.
 */
type Dispatch = (this: { readonly redis: unknown }, reply: () => void) => void;
const dispatch = Reflect.get(dataHandler.default.prototype, 'dispatch') as Dispatch;
const contained: Dispatch = function (reply) {
  if (this.redis instanceof RedisClient) this.redis.handle(reply);
  else dispatch.call(this, reply);
};
Reflect.set(dataHandler.default.prototype, 'dispatch', contained);

/** ioredis says so, with the reply itself, of a reply to no command. */
const UNSOLICITED = 'Command queue state error';

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
    const client = new RedisClient({
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
    client.on('error', ({ message }: Error) => {
      if (client.fault !== undefined) return;
      reason = message.startsWith(UNSOLICITED) ? 'a reply came that no command was waiting for' : message;
      // Some errors are about a reply alone, and ioredis would go on.
      client.fail(reason);
    });
    client.on('connect', () => {
      client.stream.on('data', ({ length }: Buffer) => {
        client.received(length);
      });
    });
    client.on('close', () => {
      subscriber.error(new LinkError(client.fault ?? reason));
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

function link(client: RedisClient): RedisLink {
  return {
    ...anyLink(client, 'subscribe', 'messageBuffer'),
    publish: (channel, payload, settled) => {
      bufferTurn(client.stream);
      settle(client, client.publish(channel, payload), settled);
    },
    subscribe: (channels) => client.subscribe(...channels).then((count) => counted(client, count), rethrow),
    unsubscribe: (channels) => {
      client.unsubscribe(...channels).catch(() => undefined);
    },
  };
}

function shardedLink(client: RedisClient): RedisLink {
  return {
    ...anyLink(client, 'ssubscribe', 'smessageBuffer'),
    publish: (channel, payload, settled) => {
      bufferTurn(client.stream);
      settle(client, client.spublish(channel, payload), settled);
    },
    subscribe: (channels) => client.ssubscribe(...channels).then((count) => counted(client, count), rethrow),
    unsubscribe: (channels) => {
      client.sunsubscribe(...channels).catch(() => undefined);
    },
  };
}

function anyLink(client: Redis, kind: 'subscribe' | 'ssubscribe', messageEvent: string) {
  return {
    ask: (command: string, ...args: readonly string[]) => client.call(command, ...args).catch(rethrow),
    receivedBytes: () => client.stream.bytesRead,
    message$: new Observable<RedisMessage>((subscriber) => {
      const listener = (channel: unknown, payload: unknown) => {
        if (!Buffer.isBuffer(channel) || !Buffer.isBuffer(payload)) throw new Error('a message without channel or payload');
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

function settle(client: RedisClient, published: Promise<unknown>, settled: Settled): void {
  published.then(
    (receivers) => {
      if (typeof receivers === 'number') settled(undefined);
      else settled(misanswered(client));
    },
    (error: unknown) => {
      settled(asLinkError(error));
    },
  );
}

/** The answer to a subscription is how many there are now. */
function counted(client: RedisClient, count: unknown): unknown {
  if (typeof count !== 'number') throw misanswered(client);
  return count;
}

/** After an answer of another shape nobody knows which command the next answer belongs to. */
function misanswered(client: RedisClient): LinkError {
  client.fail('malformed reply: not a number');
  return new LinkError('malformed reply: not a number');
}

/** What is written in one turn of the event loop leaves in one system call, which costs more than all else of a publish. */
function bufferTurn(stream: Redis['stream']): void {
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
