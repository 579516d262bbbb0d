import type { Timeline } from '../virtual-scheduler.js';

/** The far end of one connection, as a server sees it. */
export interface RedisClient {
  readonly subscribed: Set<string>;
  /** A subscriber that looks alive and gets nothing any more. */
  deaf: boolean;
  /** What it asks is done, and it hears no answer to anything any more. */
  mute: boolean;
  /** @param position in the channel's log; undefined for what is in none */
  deliver(channel: string, payload: string, position: number | undefined): void;
  /** The server is gone, or has had enough of it. What is on its way is lost with a reset. */
  hangUp(reset: boolean): void;
}

/** Who tells a server what it is, and takes what is published at it. */
export interface RedisHost {
  /** Whether it is the one that all pods should speak to. */
  isMaster(server: RedisServer): boolean;
  published(server: RedisServer, channel: string, payload: string): void;
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

  get role(): 'master' | 'slave' {
    return this.#host.isMaster(this) ? 'master' : 'slave';
  }

  /** Does what a client asks: at once, or when the process goes on; never when it has died meanwhile. */
  serve(work: () => void): void {
    if (this.#isStopped) this.#waiting.push(work);
    else if (this.#isUp) work();
  }

  subscribe(client: RedisClient, channel: string): void {
    client.subscribed.add(channel);
    const listeners = this.#listeners.get(channel);
    if (listeners) listeners.add(client);
    else this.#listeners.set(channel, new Set([client]));
  }

  unsubscribe(client: RedisClient, channel: string): void {
    client.subscribed.delete(channel);
    const listeners = this.#listeners.get(channel);
    listeners?.delete(client);
    if (listeners?.size === 0) this.#listeners.delete(channel);
  }

  publish(channel: string, payload: string): void {
    this.#host.published(this, channel, payload);
  }

  /** To those who listen here. */
  spread(channel: string, payload: string, position: number | undefined): void {
    for (const client of this.#listeners.get(channel) ?? [])
      if (!client.deaf && !client.mute) client.deliver(channel, payload, position);
  }

  remove(client: RedisClient): void {
    this.clients.delete(client);
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
