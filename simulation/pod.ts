import { Subject, Subscription, defer, timer } from 'rxjs';
import { configuredBroker } from '../src/server/configured-broker.js';
import type { Config } from '../src/config/config.js';
import { connection } from '../src/connection/connection.js';
import { drain } from '../src/server/drain.js';
import { builtInHandlers } from '../src/handlers/built-in/index.js';
import type { Logger } from '../src/runtime/log.js';
import { noMetrics, type Metrics } from '../src/runtime/metrics.js';
import { createPod } from '../src/server/pod.js';
import type { Pod } from '../src/connection/context.js';
import { Presence } from '../src/hub/presence.js';
import { SERVER_ID, type Envelope } from '../src/protocol/protocol.js';
import { admit, type OriginPolicy } from '../src/http/request.js';
import { isRefusal } from '../src/http/refusal.js';
import type { Connect } from '../src/redis/link.js';
import { TICK } from '../src/connection/transport.js';
import type { Runtime } from '../src/runtime/runtime.js';
import type { SeededRandom } from './seeded-random.js';
import type { MachineClock } from './machine-clock.js';
import type { Connection, Facts, PodName } from './facts.js';
import { START_MS } from './plan.js';
import { SimulatedSocket, type Reader } from './socket.js';
import type { Timeline } from '../src/testing/virtual-scheduler.js';

export interface SimulatedPodOptions {
  readonly name: PodName;
  readonly timeline: Timeline;
  readonly random: SeededRandom;
  readonly config: Config;
  readonly facts: Facts;
  readonly connect: Connect;
  /** Of the machine. */
  readonly clock: MachineClock;
}

/** A process' monotonic clock begins anywhere. */
const LONGEST_UPTIME_MS = 1e9;
/** And runs at a rate of its own. */
const MOST_RATE_ERROR = 200e-6;

const ANYWHERE: OriginPolicy = { origins: '*', trusted: undefined };

/** One pod's process: all that production runs in it but sockets, HTTP and ioredis. */
export class SimulatedPod {
  readonly name: PodName;
  readonly timeline: Timeline;
  readonly sockets = new Set<SimulatedSocket>();
  readonly #options: SimulatedPodOptions;
  readonly #pod: Pod;
  readonly #ended$ = new Subject<void>();
  readonly #watching: Subscription;
  readonly #telling: Presence;
  readonly #running = new Subscription();
  #draining = false;
  #isUp = false;
  #rooms = 0;

  constructor(options: SimulatedPodOptions) {
    const { config, timeline, connect, facts } = options;
    this.#options = options;
    this.name = options.name;
    this.timeline = timeline;
    const runtime = runtimeOf(options);
    const log = reportingLogger(facts, options.name);
    const metrics: Metrics = {
      ...noMetrics,
      presenceWaiting: (changes) => {
        facts.record({ kind: 'presence', pod: options.name, what: 'waiting', changes });
      },
      presenceLost: (changes) => {
        facts.record({ kind: 'presence', pod: options.name, what: 'lost', changes });
      },
      rooms: (change: 1 | -1) => {
        this.#rooms += change;
      },
    };
    const broker = configuredBroker(config, { connect, runtime, metrics, log });
    this.#pod = createPod({ limits: config, handlers: builtInHandlers, broker, runtime, metrics, log });
    this.#running.add(
      broker.status$.subscribe(({ up }) => {
        this.#isUp = up;
      }),
    );
    this.#running.add(
      this.#pod.clock.tick$.subscribe(() => {
        for (const socket of this.sockets) socket.tell(TICK);
      }),
    );
    this.#watching = this.#pod.hub.membership$.subscribe(({ kind: status, room, clientId, members }) => {
      const isAnnounced = members <= config.presenceMaxMembers;
      facts.record({ kind: 'member', pod: options.name, status, room, clientId, isAnnounced });
    });
    this.#telling = new Presence(this.#pod, config.presenceMaxMembers);
  }

  /** What `/readyz` says. */
  get isReady(): boolean {
    return this.#isUp && !this.#draining;
  }

  get isDraining(): boolean {
    return this.#draining;
  }

  /** Rooms with members, as the metric counts them. */
  get rooms(): number {
    return this.#rooms;
  }

  /** An upgrade; undefined where it is refused. */
  open(made: Connection, reader: Reader, outside: Timeline): SimulatedSocket | undefined {
    const { facts, timeline, random, config } = this.#options;
    const query = made.client.rooms.map((room) => `room=${encodeURIComponent(room)}`).join('&');
    const full = config.maxConnections > 0 && this.sockets.size >= config.maxConnections;
    const request = { method: 'GET', headers: { host: ['pod'] }, peer: undefined, segment: undefined, query };
    const rooms = admit(request, { draining: this.#draining, full }, ANYWHERE);
    if (isRefusal(rooms)) return undefined;
    const id = this.#pod.runtime.newId();
    facts.record({ kind: 'opened', connection: made });
    const socket = new SimulatedSocket({
      connection: made,
      // The one place that knows how an actor is made.
      actor: (inbound$, consumer) =>
        connection(inbound$, consumer, { pod: this.#pod, id, identity: id, rooms, access: undefined }),
      reader,
      latencyMs: () => random.integer(1, 20),
      pod: timeline,
      outside,
      facts,
      onEnd: (ended) => {
        this.sockets.delete(ended);
        this.#ended$.next();
        if (!ended.isForgotten) facts.record({ kind: 'left-over', what: `listeners of connection ${made.number}` });
      },
    });
    this.sockets.add(socket);
    return socket;
  }

  /** SIGTERM: what `ChatServer.close` does, but for HTTP. */
  close(done: () => void): void {
    if (this.#draining) return;
    this.#draining = true;
    const { runtime } = this.#pod;
    const { shutdownDelayMs: delayMs, shutdownTimeoutMs: timeoutMs } = this.#options.config;
    const closing$ = defer(() => {
      this.#stopPresence('stopped');
      return this.#telling.stop$;
    });
    drain({
      connections: this.sockets,
      ended$: this.#ended$,
      delayMs,
      timeoutMs,
      runtime,
      closing$,
    }).subscribe({
      complete: () => {
        this.#running.unsubscribe();
        this.#telling.unsubscribe();
        this.#stopPresence('published');
        this.#pod.hub.close();
        done();
      },
    });
  }

  #stopPresence(phase: 'stopped' | 'published' | 'killed'): void {
    this.#watching.unsubscribe();
    this.#options.facts.record({ kind: 'presence-ends', pod: this.name, phase });
  }

  /** SIGKILL: nothing of it happens any more. */
  kill(): void {
    this.timeline.isDead = true;
    this.#stopPresence('killed');
    for (const socket of this.sockets) socket.kill();
  }
}

/** Two clocks of its own: what they show differs from those of all others, and from the true time. */
function runtimeOf({ name, timeline, random, clock }: SimulatedPodOptions): Runtime {
  let ids = 0;
  const pod = `${hex(name.slot + 1, 4)}${hex(name.life, 4)}`;
  const clocks = random.fork('clocks');
  const bornMs = timeline.now();
  const beginsAt = clocks.next() * LONGEST_UPTIME_MS;
  const rate = 1 + (clocks.next() * 2 - 1) * MOST_RATE_ERROR;
  return {
    scheduler: {
      now: () => beginsAt + (timeline.now() - bornMs) * rate,
      // Timers go by the true time: they are late by more than a clock's rate is wrong.
      schedule: timeline.schedule.bind(timeline),
    },
    wallMs: () => clock.at(timeline.now()),
    turnEnd$: timer(0, timeline),
    newId: () => {
      ids = (ids + 1) % 2 ** 16;
      return `${pod}-0000-7000-8000-${hex(timeline.now() - START_MS, 8)}${hex(ids, 4)}`;
    },
    random: random.next,
  };
}

/** When a pod made what bears an id of its own, in true time. */
export function madeMs({ id }: Pick<Envelope, 'id'>): number {
  return START_MS + parseInt(id.slice(24, 32), 16);
}

/** Where the pod ran that made an envelope: its ids, and those of its connections, begin with that. */
export function podSlotOf({ id, from }: Pick<Envelope, 'id' | 'from'>): number {
  return parseInt((from === SERVER_ID ? id : from).slice(0, 4), 16) - 1;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

/** No fault of a machine or a client is an error of the service's own. */
function reportingLogger(facts: Facts, pod: PodName): Logger {
  const silent = () => undefined;
  const warn = (details: unknown, event = 'logged') => {
    facts.record({ kind: 'warned', pod, what: `${event}: ${JSON.stringify(details)}` });
  };
  const complain = (details: object | string, event = 'logged') => {
    const cause: unknown = typeof details === 'object' && 'err' in details ? details.err : details;
    facts.record({ kind: 'failed', what: `${event}: ${String(cause)}` });
  };
  const log: Logger = { debug: silent, info: silent, warn, error: complain, fatal: complain, child: () => log };
  return log;
}
