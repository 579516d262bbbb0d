import { Observable, Subject, type Subscriber, type Subscription } from 'rxjs';
import { LinkError, RefusedError, type RedisLink, type RedisMessage, type Settled } from '../src/redis/link.js';
import { SERVER_ID } from '../src/protocol/protocol.js';
import type { Fact, Facts, PodName } from './facts.js';
import { Pipe, type Lane } from './network.js';
import type { Answer, Delivered, RedisClient, RedisServer } from './redis-server.js';
import type { Timeline } from '../src/testing/virtual-scheduler.js';

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
  /** Everything that is no pod. */
  readonly outside: Timeline;
  /** A promise was made or settled: what waits for it has to have its turn. */
  readonly promised: () => void;
  readonly pod: PodName;
  readonly facts: Facts;
}

/** As long as the real one waits: see `redisLink$`. */
const READY_TIMEOUT_MS = 3000;

/** A command, an answer or a message without what is said in it, and with a channel's name. */
const FRAME_BYTES = 60;
/** An answer to a publish. */
const SHORT_BYTES = 4;
/** What the kernels of both ends hold of what Redis sends. */
const KERNEL_BYTES = 64 * 1024;
/** A subscription's own bytes are told of in steps. */
const STEP_BYTES = 256 * 1024;

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

/** An envelope that is published. */
type Envelope = Pick<Publishing, 'channel' | 'id' | 'from' | 'clientId'>;

type Publishing = Fact & { readonly kind: 'publishing' };

interface Asked {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  /** Undefined for another command. */
  readonly envelope: Envelope | undefined;
  readonly sentMs: number;
}

interface Command {
  readonly carryOut: () => Answer;
  /** Undefined for another command. */
  readonly envelope?: Envelope | undefined;
  readonly bytes?: number;
  readonly answerBytes?: number;
  /** What the pod's end does when it hears that it was done. */
  readonly done?: () => void;
}

/** Both ends of one connection: the pod's, which is a `RedisLink`, and the server's. */
export class RedisConnection implements RedisClient, RedisLink {
  readonly subscribed = new Set<string>();
  readonly moved$ = new Subject<void>();
  readonly message$ = new Subject<RedisMessage>();
  deaf = false;
  mute = false;
  #received = 0;
  /** On the way to this subscription, and published by its own pod; and the most that it told of. */
  #ownBytes = 0;
  #toldOwnBytes = 0;
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
    const { route, timeline, server, outside } = options;
    this.#up = new Pipe(route.up, server.timeline, outside);
    this.#down = new Pipe(route.down, timeline, outside);
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

  get unsentBytes(): number {
    return Math.max(0, this.#down.pendingBytes - KERNEL_BYTES);
  }

  channels(): ReadonlySet<string> {
    return this.#channels;
  }

  publish(channel: string, payload: string, settled: Settled): void {
    const { server, pod, timeline } = this.#options;
    const source = { pod, sentMs: timeline.now() };
    const published = this.#ask({
      carryOut: () => server.publish(channel, payload, source),
      envelope: envelopeOf(channel, payload),
      bytes: Buffer.byteLength(payload),
      answerBytes: SHORT_BYTES,
    });
    published.then(() => {
      settled(undefined);
    }, settled);
  }

  subscribe(channels: readonly string[]): Promise<unknown> {
    return this.#ask({
      carryOut: () => this.#options.server.subscribe(this, channels),
      bytes: channels.length * FRAME_BYTES,
      answerBytes: channels.length * FRAME_BYTES,
      done: () => {
        for (const channel of channels) this.#channels.add(channel);
      },
    });
  }

  unsubscribe(channels: readonly string[]): void {
    const unsubscribed = this.#ask({
      carryOut: () => {
        for (const channel of channels) this.#options.server.unsubscribe(this, channel);
        return { ok: 0 };
      },
      done: () => {
        for (const channel of channels) this.#channels.delete(channel);
      },
    });
    unsubscribed.catch(() => undefined);
  }

  /** Any other command. */
  call(command: string, ...args: readonly string[]): Promise<unknown> {
    return this.#ask({ carryOut: () => this.#options.server.ask([command, ...args].join(' ').toUpperCase()) });
  }

  deliver({ channel, payload, position, source }: Delivered): void {
    const bytes = Buffer.from(payload);
    const { facts, pod } = this.#options;
    const ownBytes = source.pod?.life === pod.life ? bytes.length : 0;
    this.#ownBytes += ownBytes;
    if (this.#ownBytes >= this.#toldOwnBytes + STEP_BYTES) {
      this.#toldOwnBytes = this.#ownBytes;
      facts.record({ kind: 'coming-back', pod, bytes: this.#ownBytes });
    }
    const arrive = () => {
      this.#ownBytes -= ownBytes;
      if (position !== undefined) facts.record({ kind: 'arrived', pod, channel, position, bytes: bytes.length });
      this.message$.next({ channel, payload: bytes });
    };
    this.#down.send(arrive, FRAME_BYTES + bytes.length, this.#hear);
  }

  overflow(): void {
    const { facts, pod } = this.#options;
    facts.record({ kind: 'overflowed', pod, bytes: this.unsentBytes, ownBytes: this.#ownBytes });
  }

  lose(channel: string): void {
    this.#down.send(() => {
      this.#channels.delete(channel);
      this.moved$.next();
    });
  }

  hangUp(reset: boolean): void {
    if (reset) this.#down.cut();
    const { route, timeline, outside } = this.#options;
    const hungUp = reset ? new Pipe(route.down, timeline, outside) : this.#down;
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

  #ask({ carryOut, envelope, bytes = 0, answerBytes = FRAME_BYTES, done }: Command): Promise<unknown> {
    const { server, promised, timeline } = this.#options;
    promised();
    if (this.#isOver) return Promise.reject(new RefusedError("Stream isn't writeable"));
    this.#count(envelope, { change: 1, tookMs: 0, isAnswered: false });
    return new Promise((resolve, reject) => {
      this.#asked.push({ resolve, reject, envelope, sentMs: timeline.now() });
      this.#up.send(() => {
        server.serve(() => {
          // Who was thrown out is not served any more.
          if (!server.clients.has(this)) return;
          const answer = carryOut();
          if (!this.mute) this.#answer(answer, answerBytes, done);
        });
      }, FRAME_BYTES + bytes);
    });
  }

  #answer(answer: Answer, bytes: number, done?: () => void): void {
    const arrive = () => {
      if ('ok' in answer) done?.();
      const asked = this.#asked.shift();
      this.#options.promised();
      if (asked) this.#settled(asked, true);
      if ('ok' in answer) asked?.resolve(answer.ok);
      else asked?.reject(new RefusedError(answer.refused));
    };
    this.#down.send(arrive, bytes, this.#hear);
  }

  /** The pod's end has read a part of something. */
  readonly #hear = (bytes: number): void => {
    this.#received += bytes;
  };

  #end(error: LinkError): void {
    if (this.#isOver) return;
    this.#subscriber.error(error);
  }

  #fail(error: LinkError): void {
    if (this.#asked.length === 0) return;
    this.#options.promised();
    for (const asked of this.#asked.splice(0)) {
      this.#settled(asked, false);
      asked.reject(error);
    }
  }

  #settled({ envelope, sentMs }: Asked, isAnswered: boolean): void {
    this.#count(envelope, { change: -1, tookMs: this.#options.timeline.now() - sentMs, isAnswered });
  }

  #count(envelope: Envelope | undefined, counted: Pick<Publishing, 'change' | 'tookMs' | 'isAnswered'>): void {
    const { facts, pod } = this.#options;
    if (envelope) facts.record({ kind: 'publishing', pod, ...envelope, ...counted });
  }
}

const ID = /"id":"([^"]*)"/;
const FROM = /"from":"([^"]*)"/;
const CLIENT_ID = /"clientId":"([^"]*)"/;

function envelopeOf(channel: string, payload: string): Envelope | undefined {
  const from = FROM.exec(payload)?.[1];
  if (from === undefined) return undefined;
  // Of all that a pod publishes for itself, presence alone is an envelope.
  const clientId = from === SERVER_ID ? CLIENT_ID.exec(payload)?.[1] : undefined;
  return { channel, id: ID.exec(payload)?.[1] ?? '', from, clientId };
}
