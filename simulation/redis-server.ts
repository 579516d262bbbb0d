import type { Timeline } from '../src/testing/virtual-scheduler.js';
import type { PodName } from './facts.js';
import type { OutputBuffer } from './plan.js';

/** What a server says to a command. */
export type Answer = { readonly ok: unknown } | { readonly refused: string };

/** The far end of one connection, as a server sees it. */
export interface RedisClient {
  readonly subscribed: Set<string>;
  /** A subscriber that looks alive and gets nothing any more. */
  deaf: boolean;
  /** What it asks is done, and it hears no answer to anything any more. */
  mute: boolean;
  /** What the server has for it and could not hand to the network yet. */
  readonly unsentBytes: number;
  deliver(message: Delivered): void;
  /** The server has too much for it, and drops it. */
  overflow(): void;
  /** The server has unsubscribed it from a channel that is somebody else's now. */
  lose(channel: string): void;
  /** The server is gone, or has had enough of it. What is on its way is lost with a reset. */
  hangUp(reset: boolean): void;
}

/** Who publishes something, and when it was sent; a pod or, where it is undefined, somebody else. */
export interface Source {
  readonly pod: PodName | undefined;
  readonly sentMs: number;
}

/** What goes to a subscriber. */
export interface Delivered {
  readonly channel: string;
  readonly payload: string;
  /** In the channel's log; undefined for what is in none. */
  readonly position: number | undefined;
  readonly source: Source;
}

/** Who tells a server what it is, and takes what is published at it. */
export interface RedisHost {
  /** What it takes itself for. */
  roleOf(server: RedisServer): 'master' | 'slave';
  /** Why it takes none of these channels; undefined where it does. */
  refusal(server: RedisServer, channels: readonly string[]): string | undefined;
  published(server: RedisServer, channel: string, payload: string, source: Source): void;
  /** `client-output-buffer-limit pubsub`. */
  readonly outputBuffer: OutputBuffer;
  /** Any other command. */
  asked(server: RedisServer, command: string): Answer;
}

/** One Redis process: its connections and who of them listens to what. */
export class RedisServer {
  readonly name: string;
  readonly clients = new Set<RedisClient>();
  /** Refuses connections: it has too many. */
  full = false;
  /** Refuses publishes: it has no memory left, or the user no right. */
  refusesPublishes = false;
  readonly #host: RedisHost;
  readonly #timeline: Timeline;
  readonly #listeners = new Map<string, Set<RedisClient>>();
  /** Subscribers over the soft limit, and since when. */
  readonly #overSoftLimit = new Map<RedisClient, number>();
  #isUp = true;
  #isStopped = false;
  /** What came while it was stopped. */
  #waiting: (() => void)[] = [];

  constructor(name: string, host: RedisHost, timeline: Timeline) {
    this.name = name;
    this.#host = host;
    this.#timeline = timeline;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get timeline(): Timeline {
    return this.#timeline;
  }

  /** Does what a client asks: at once, or when the process goes on; never when it has died meanwhile. */
  serve(work: () => void): void {
    if (this.#isStopped) this.#waiting.push(work);
    else if (this.#isUp) work();
  }

  /** Of all commands, those that are neither about channels nor understood are for its host. */
  ask(command: string): Answer {
    switch (command) {
      case 'ROLE':
        return { ok: [this.#host.roleOf(this)] };
      case 'PING':
        return { ok: 'PONG' };
      default:
        return this.#host.asked(this, command);
    }
  }

  subscribe(client: RedisClient, channels: readonly string[]): Answer {
    const refused = this.#host.refusal(this, channels);
    if (refused !== undefined) return { refused };
    for (const channel of channels) {
      client.subscribed.add(channel);
      const listeners = this.#listeners.get(channel);
      if (listeners) listeners.add(client);
      else this.#listeners.set(channel, new Set([client]));
    }
    return { ok: channels.length };
  }

  unsubscribe(client: RedisClient, channel: string): void {
    client.subscribed.delete(channel);
    const listeners = this.#listeners.get(channel);
    listeners?.delete(client);
    if (listeners?.size === 0) this.#listeners.delete(channel);
  }

  publish(channel: string, payload: string, source: Source): Answer {
    const refused = this.refusesPublishes ? 'OOM command not allowed' : this.#host.refusal(this, [channel]);
    if (refused !== undefined) return { refused };
    this.#host.published(this, channel, payload, source);
    return { ok: 1 };
  }

  /** To those who listen here. */
  spread(message: Delivered): void {
    for (const client of [...(this.#listeners.get(message.channel) ?? [])]) {
      if (client.deaf || client.mute) continue;
      client.deliver(message);
      this.#limit(client);
    }
  }

  /** As Redis does with each reply that it adds. */
  #limit(client: RedisClient): void {
    const { hardBytes, softBytes, softMs } = this.#host.outputBuffer;
    const { unsentBytes } = client;
    const nowMs = this.#timeline.now();
    if (unsentBytes <= softBytes) this.#overSoftLimit.delete(client);
    else if (!this.#overSoftLimit.has(client)) this.#overSoftLimit.set(client, nowMs);
    const overMs = nowMs - (this.#overSoftLimit.get(client) ?? nowMs);
    if (unsentBytes <= hardBytes && overMs <= softMs) return;
    client.overflow();
    this.hangUp(client, true);
  }

  /** Nobody listens here any more to what it does not take any more. */
  dropForeign(): void {
    for (const channel of [...this.#listeners.keys()]) {
      if (this.#host.refusal(this, [channel]) === undefined) continue;
      for (const client of [...(this.#listeners.get(channel) ?? [])]) {
        this.unsubscribe(client, channel);
        if (!client.mute) client.lose(channel);
      }
    }
  }

  remove(client: RedisClient): void {
    this.clients.delete(client);
    this.#overSoftLimit.delete(client);
    for (const channel of [...client.subscribed]) this.unsubscribe(client, channel);
  }

  hangUp(client: RedisClient, reset: boolean): void {
    this.remove(client);
    client.hangUp(reset);
  }

  die(reset: boolean): void {
    this.#isUp = false;
    this.#isStopped = false;
    this.#waiting = [];
    this.hangUpAll(reset);
  }

  /** `CLIENT KILL`. */
  hangUpAll(reset: boolean): void {
    for (const client of [...this.clients]) this.hangUp(client, reset);
  }

  start(): void {
    this.#isUp = true;
  }

  /** SIGSTOP: the kernel still accepts connections and data for it. */
  stop(): void {
    this.#isStopped = this.#isUp;
  }

  /** SIGCONT. */
  goOn(): void {
    this.#isStopped = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const work of waiting) this.serve(work);
  }
}
