import { Observable, Subject, type Subscriber, type Subscription } from 'rxjs';
import { LinkError, RefusedError, type RedisLink, type RedisMessage, type Settled } from '../../redis/link.js';
import type { Facts, PodName } from './facts.js';
import { Pipe, type Lane } from './network.js';
import type { Answer, RedisClient, RedisServer } from './redis-server.js';
import type { Timeline } from '../virtual-scheduler.js';

/** The way from a pod to Redis and back. */
export interface Route {
  readonly up: Lane;
  readonly down: Lane;
}

export interface RedisConnectionOptions {
  /** Where the deployment's address leads at this moment. */
  readonly server: RedisServer;
  readonly route: Route;
  /** The pod. */
  readonly timeline: Timeline;
  /** A promise was made or settled: what waits for it has to have its turn. */
  readonly promised: () => void;
  readonly pod: PodName;
  readonly facts: Facts;
}

/** As long as the real one waits: see `redisLink$`. */
const READY_TIMEOUT_MS = 3000;

/** A connection to a simulated Redis, with the manners of `redisLink$`: one life, and an error at its end. */
export function redisConnection$(options: () => RedisConnectionOptions, known: Set<RedisConnection>): Observable<RedisLink> {
  return new Observable((subscriber) => {
    const connection = new RedisConnection(options(), subscriber);
    known.add(connection);
    return () => {
      known.delete(connection);
      connection.close();
    };
  });
}

interface Asked {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  /** Who publishes; undefined for another command. */
  readonly from: string | undefined;
}

/** Both ends of one connection: the pod's, which is a `RedisLink`, and the server's. */
export class RedisConnection implements RedisClient, RedisLink {
  readonly subscribed = new Set<string>();
  readonly moved$ = new Subject<void>();
  readonly message$ = new Subject<RedisMessage>();
  deaf = false;
  mute = false;
  #received = 0;
  /** As its own end knows. */
  readonly #channels = new Set<string>();
  readonly #options: RedisConnectionOptions;
  readonly #subscriber: Subscriber<RedisLink>;
  readonly #up: Pipe;
  readonly #down: Pipe;
  readonly #asked: Asked[] = [];
  readonly #patience: Subscription;
  #isOver = false;

  constructor(options: RedisConnectionOptions, subscriber: Subscriber<RedisLink>) {
    this.#options = options;
    this.#subscriber = subscriber;
    const { route, timeline, server } = options;
    this.#up = new Pipe(route.up, server.timeline);
    this.#down = new Pipe(route.down, timeline);
    this.#patience = timeline.schedule(() => {
      this.#end(new LinkError('no answer while connecting'));
    }, READY_TIMEOUT_MS);
    subscriber.add(this.#patience);
    this.#connect();
  }

  get isSubscribed(): boolean {
    return this.subscribed.size > 0;
  }

  receivedBytes(): number {
    return this.#received;
  }

  channels(): ReadonlySet<string> {
    return this.#channels;
  }

  publish(channel: string, payload: string, settled: Settled): void {
    const { server } = this.#options;
    const published = this.#ask(senderOf(payload), () => server.publish(channel, payload));
    published.then(() => {
      settled(undefined);
    }, settled);
  }

  subscribe(channels: readonly string[]): Promise<unknown> {
    const subscribed = () => {
      for (const channel of channels) this.#channels.add(channel);
    };
    return this.#ask(undefined, () => this.#options.server.subscribe(this, channels), subscribed);
  }

  unsubscribe(channels: readonly string[]): void {
    const unsubscribed = () => {
      for (const channel of channels) this.#channels.delete(channel);
    };
    const unsubscribe = () => {
      for (const channel of channels) this.#options.server.unsubscribe(this, channel);
      return { ok: 0 };
    };
    this.#ask(undefined, unsubscribe, unsubscribed).catch(() => undefined);
  }

  /** Any other command. */
  ask(command: string, ...args: readonly string[]): Promise<unknown> {
    return this.#ask(undefined, () => this.#options.server.ask([command, ...args].join(' ').toUpperCase()));
  }

  deliver(channel: string, payload: string, position: number | undefined): void {
    this.#down.send(() => {
      const bytes = Buffer.from(payload);
      this.#received += bytes.length;
      const { facts, pod } = this.#options;
      if (position !== undefined) facts.tell({ kind: 'arrived', pod, channel, position, bytes: bytes.length });
      this.message$.next({ channel, payload: bytes });
    });
  }

  lose(channel: string): void {
    this.#down.send(() => {
      this.#channels.delete(channel);
      this.moved$.next();
    });
  }

  hangUp(reset: boolean): void {
    if (reset) this.#down.cut();
    const hungUp = reset ? new Pipe(this.#options.route.down, this.#options.timeline) : this.#down;
    hungUp.send(() => {
      this.#end(new LinkError('connection closed'));
      hungUp.cut();
    });
  }

  /** The pod hangs up; what it had sent before still arrives. */
  close(): void {
    this.#isOver = true;
    this.#down.cut();
    this.#fail(new LinkError('Connection is closed.'));
    const { server } = this.#options;
    this.#up.send(() => {
      this.#up.cut();
      server.serve(() => {
        server.remove(this);
      });
    });
  }

  /** SIGKILL of the pod: its kernel says goodbye for it. */
  kill(): void {
    this.#asked.length = 0;
    this.close();
  }

  #connect(): void {
    const { server } = this.#options;
    this.#up.send(() => {
      if (!server.isUp) {
        this.#down.send(() => {
          this.#end(new LinkError('connect ECONNREFUSED'));
        });
        return;
      }
      server.serve(() => {
        this.#greet();
      });
    });
  }

  #greet(): void {
    const { server } = this.#options;
    const { full } = server;
    if (!full) server.clients.add(this);
    this.#down.send(() => {
      if (full) this.#end(new LinkError('ERR max number of clients reached'));
      else this.#ready();
    });
  }

  #ready(): void {
    this.#patience.unsubscribe();
    this.#subscriber.next(this);
  }

  /** @param done what the pod's end does when it hears that it was done */
  #ask(from: string | undefined, command: () => Answer, done?: () => void): Promise<unknown> {
    const { server, promised } = this.#options;
    promised();
    if (this.#isOver) return Promise.reject(new RefusedError("Stream isn't writeable"));
    this.#count(from, 1);
    return new Promise((resolve, reject) => {
      this.#asked.push({ resolve, reject, from });
      this.#up.send(() => {
        server.serve(() => {
          // Who was thrown out is not served any more.
          if (!server.clients.has(this)) return;
          const answer = command();
          if (!this.mute) this.#answer(answer, done);
        });
      });
    });
  }

  #answer(answer: Answer, done?: () => void): void {
    this.#down.send(() => {
      this.#received += 1;
      if ('ok' in answer) done?.();
      const asked = this.#asked.shift();
      this.#options.promised();
      this.#count(asked?.from, -1);
      if ('ok' in answer) asked?.resolve(answer.ok);
      else asked?.reject(new RefusedError(answer.refused));
    });
  }

  #end(error: LinkError): void {
    if (this.#isOver) return;
    this.#subscriber.error(error);
  }

  #fail(error: LinkError): void {
    if (this.#asked.length === 0) return;
    this.#options.promised();
    for (const { reject, from } of this.#asked.splice(0)) {
      this.#count(from, -1);
      reject(error);
    }
  }

  #count(from: string | undefined, change: 1 | -1): void {
    if (from !== undefined) this.#options.facts.tell({ kind: 'publishing', from, change });
  }
}

const FROM = /"from":"([^"]*)"/;

function senderOf(payload: string): string | undefined {
  return FROM.exec(payload)?.[1];
}
