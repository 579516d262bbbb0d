import { Redis } from 'ioredis';
import dataHandler from 'ioredis/built/DataHandler.js';
import { Observable, fromEvent, throwError, timeout, type ObservableInput } from 'rxjs';
import type { RedisAddress } from './address.js';

/** A connection to Redis was lost, or could not be made; the message says why. */
export class LinkError extends Error {
  static of(error: unknown): LinkError {
    return error instanceof LinkError ? error : new LinkError(error instanceof Error ? error.message : String(error));
  }
}

/** A command was certainly not carried out: Redis replied with an error, or it was never sent. */
export class RefusedError extends Error {}

export interface RedisMessage {
  readonly channel: string;
  readonly payload: Buffer;
}

/** Called with the error of a publish; undefined if Redis accepted it. */
export type Settled = (error: RefusedError | LinkError | undefined) => void;

/**
 * One connection to Redis. Commands are sent at once and in order. Each emits its reply, or errors with `RefusedError` or `LinkError`,
 * unless the link itself ends because of a malformed reply.
 */
export interface RedisLink {
  /** Takes a callback, since one more promise for each message would slow down publishing. */
  publish(channel: string, payload: string, settled: Settled): void;
  subscribe(channels: readonly string[]): ObservableInput<unknown>;
  /** The reply is ignored: a link on which this fails is lost anyway. */
  unsubscribe(channels: readonly string[]): void;
  /** Any other command. */
  call(command: string, ...args: readonly string[]): ObservableInput<unknown>;
  /** Grows whenever bytes come from Redis. */
  receivedBytes(): number;
  /** Hot: the messages of subscribed channels. */
  readonly message$: Observable<RedisMessage>;
  /** Hot: emits when the server has unsubscribed a sharded link from a channel whose slot has moved. */
  readonly moved$: Observable<unknown>;
  /** The channels that are subscribed to at present. */
  channels(): ReadonlySet<string>;
}

export interface RedisLinkOptions {
  readonly address: RedisAddress;
  /** The client name, as `CLIENT LIST` shows it. */
  readonly name: string;
  /** Whether its channels are the sharded ones of a cluster. */
  readonly sharded?: boolean;
}

/** Makes connections: `redisLink$`, or its counterpart in the simulation. */
export type Connect = (options: RedisLinkOptions) => Observable<RedisLink>;

/** The limit for connecting and login together: a server that is stopped (SIGSTOP) accepts connections and never answers. */
const READY_TIMEOUT_MS = 3000;

/** The limit of a reply or message. Redis itself drops a subscriber with more unread output than `client-output-buffer-limit`. */
const MAX_REPLY_BYTES = 64 * 1024 * 1024;

/** An ioredis client that ends its connection when a reply is malformed or too large. */
class RedisClient extends Redis {
  /** Why the connection is ended from this side; undefined if it is not. */
  fault: string | undefined;
  /** Bytes of the reply that is not complete yet. */
  #unreadBytes = 0;

  /** Ends the connection at once; other replies that were received are dropped. */
  fail(fault: string): void {
    if (this.fault !== undefined) return;
    this.fault = fault;
    if (this.status === 'connect' || this.status === 'ready') this.stream.destroy();
  }

  /** Handles one complete reply. */
  handle(reply: () => void): void {
    this.#unreadBytes = 0;
    if (this.fault !== undefined) return;
    try {
      reply();
    } catch (error) {
      this.fail(`malformed reply: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** Counts bytes that ioredis has read. */
  received(bytes: number): void {
    this.#unreadBytes += bytes;
    if (this.#unreadBytes > MAX_REPLY_BYTES) this.fail(`a reply is larger than ${MAX_REPLY_BYTES} bytes`);
  }
}

/**
 * ioredis handles replies in `process.nextTick`: an exception that a malformed reply causes there would end the process, and no option
 * prevents that. So its handler is replaced, for instances of `RedisClient` only.
 */
type Dispatch = (this: { readonly redis: unknown }, reply: () => void) => void;
const dispatch = Reflect.get(dataHandler.default.prototype, 'dispatch') as Dispatch;
const contained: Dispatch = function (reply) {
  if (this.redis instanceof RedisClient) this.redis.handle(reply);
  else dispatch.call(this, reply);
};
Reflect.set(dataHandler.default.prototype, 'dispatch', contained);

/** The beginning of ioredis' error for a reply that belongs to no command. */
const UNSOLICITED = 'Command queue state error';

/**
 * Connects to Redis: emits the link when it is ready, and errors with `LinkError` when it is lost. Unsubscribing disconnects.
 *
 * It never reconnects, queues commands while offline, or sends a command twice: a new connection is a new subscription. No other file
 * uses ioredis.
 */
export function redisLink$({ address, name, sharded = false }: RedisLinkOptions): Observable<RedisLink> {
  return new Observable<RedisLink>((subscriber) => {
    const { host, port, username, password, tls } = address;
    // Values, not a URL: a query in the URL would override these options.
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
      // Would need INFO and CLIENT SETINFO, to which the Redis user may have no access. Pub/sub works while Redis loads.
      enableReadyCheck: false,
      disableClientInfo: true,
    });
    let reason = 'connection closed';
    client.on('error', ({ message }: Error) => {
      if (client.fault !== undefined) return;
      reason = message.startsWith(UNSOLICITED) ? 'a reply came that no command was waiting for' : message;
      // ioredis would go on after some errors, such as of a single reply.
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
        subscriber.next(linkOf(client, sharded));
      },
      (error: unknown) => {
        // The error of the `error` event has more details.
        if (error instanceof Error && reason === 'connection closed') reason = error.message;
        subscriber.error(new LinkError(reason));
      },
    );
    return () => {
      // After the end of the connection, ioredis would leave a timer behind.
      if (client.status !== 'close' && client.status !== 'end') client.disconnect();
    };
  }).pipe(timeout({ first: READY_TIMEOUT_MS, with: () => throwError(() => new LinkError('no answer while connecting')) }));
}

/** @param sharded whether its channels are sharded ones (SSUBSCRIBE, SPUBLISH) */
function linkOf(client: RedisClient, sharded: boolean): RedisLink {
  const messageEvent = sharded ? 'smessageBuffer' : 'messageBuffer';
  return {
    publish: (channel, payload, settled) => {
      corkTurn(client.stream);
      settle(client, sharded ? client.spublish(channel, payload) : client.publish(channel, payload), settled);
    },
    subscribe: (channels) =>
      (sharded ? client.ssubscribe(...channels) : client.subscribe(...channels)).then((count) => counted(client, count), rethrow),
    unsubscribe: (channels) => {
      (sharded ? client.sunsubscribe(...channels) : client.unsubscribe(...channels)).catch(() => undefined);
    },
    call: (command, ...args) => client.call(command, ...args).catch(rethrow),
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
    channels: () =>
      new Set(client.condition?.subscriber ? client.condition.subscriber.channels(sharded ? 'ssubscribe' : 'subscribe') : []),
  };
}

function settle(client: RedisClient, published: Promise<unknown>, settled: Settled): void {
  published.then(
    (receivers) => {
      if (typeof receivers === 'number') settled(undefined);
      else settled(notANumber(client));
    },
    (error: unknown) => {
      settled(asLinkError(error));
    },
  );
}

/** Checks the reply to a SUBSCRIBE: the number of channels that are subscribed to. */
function counted(client: RedisClient, count: unknown): unknown {
  if (typeof count !== 'number') throw notANumber(client);
  return count;
}

/** Ends the link: after a malformed reply it is unknown to which command the next one belongs. */
function notANumber(client: RedisClient): LinkError {
  client.fail('malformed reply: not a number');
  return new LinkError('malformed reply: not a number');
}

/** Writes the commands of one turn of the event loop with one system call, the most expensive part of a publish. */
function corkTurn(stream: Redis['stream']): void {
  if (stream.writableCorked > 0) return;
  stream.cork();
  setImmediate(() => {
    stream.uncork();
  });
}

// ioredis' error for a command that it neither sent nor queued.
const NEVER_SENT = "Stream isn't writeable";

function asLinkError(error: unknown): RefusedError | LinkError {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return name === 'ReplyError' || message.startsWith(NEVER_SENT) ? new RefusedError(message) : new LinkError(message);
}

function rethrow(error: unknown): never {
  throw asLinkError(error);
}
