import { Subject, Subscription, defer, timer } from 'rxjs';
import { configuredBroker } from '../../broker/configured.js';
import type { Config } from '../../config.js';
import { connection } from '../../connection/connection.js';
import { drain } from '../../connection/drain.js';
import { builtInHandlers } from '../../handlers/index.js';
import type { Logger } from '../../log.js';
import { noMetrics, type Metrics } from '../../metrics.js';
import { createPod, type Pod } from '../../pod.js';
import { Presence } from '../../hub/presence.js';
import { SERVER_ID, type Envelope } from '../../protocol.js';
import { admit, isRefusal, type Border } from '../../entrance/request.js';
import type { Connect } from '../../redis/link.js';
import { TICK } from '../../connection/transport.js';
import type { World } from '../../world.js';
import type { Chance } from './chance.js';
import type { MachineClock } from './machine-clock.js';
import type { Connection, Facts, PodName } from './facts.js';
import { START_MS } from './plan.js';
import { SimulatedSocket, type Reader } from './socket.js';
import type { Timeline } from '../virtual-scheduler.js';

export interface SimulatedPodOptions {
  readonly name: PodName;
  readonly timeline: Timeline;
  readonly chance: Chance;
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

const ANYWHERE: Border = { origins: '*', trusted: undefined };

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
    const world = worldOf(options);
    const log = complainingLogger(facts, options.name);
    const metrics: Metrics = {
      ...noMetrics,
      presenceWaiting: (changes) => {
        facts.tell({ kind: 'presence', pod: options.name, what: 'waiting', changes });
      },
      presenceLost: (changes) => {
        facts.tell({ kind: 'presence', pod: options.name, what: 'lost', changes });
      },
      rooms: (change: 1 | -1) => {
        this.#rooms += change;
      },
    };
    const broker = configuredBroker(config, { connect, world, metrics, log });
    this.#pod = createPod({ limits: config, handlers: builtInHandlers, broker, world, metrics, log });
    this.#running.add(
      this.#pod.broker.status$.subscribe(({ up }) => {
        this.#isUp = up;
      }),
    );
    this.#running.add(
      this.#pod.pulse.tick$.subscribe(() => {
        for (const socket of this.sockets) socket.tell(TICK);
      }),
    );
    this.#watching = this.#pod.hub.membership$.subscribe(({ kind: status, room, clientId, members }) => {
      const isTold = members <= config.presenceMaxMembers;
      facts.tell({ kind: 'member', pod: options.name, status, room, clientId, isTold });
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
    const { facts, timeline, chance, config } = this.#options;
    const query = made.client.rooms.map((room) => `room=${encodeURIComponent(room)}`).join('&');
    const full = config.maxConnections > 0 && this.sockets.size >= config.maxConnections;
    const request = { method: 'GET', headers: { host: ['pod'] }, peer: undefined, segment: undefined, query };
    const rooms = admit(request, { draining: this.#draining, full }, ANYWHERE);
    if (isRefusal(rooms)) return undefined;
    const id = this.#pod.world.newId();
    facts.tell({ kind: 'opened', connection: made });
    const socket = new SimulatedSocket({
      connection: made,
      // The one place that knows how an actor is made.
      actor: (inbound$, consumer) =>
        connection(inbound$, consumer, { pod: this.#pod, id, identity: id, rooms, access: undefined }),
      reader,
      latencyMs: () => chance.integer(1, 20),
      pod: timeline,
      outside,
      facts,
      onEnd: (ended) => {
        this.sockets.delete(ended);
        this.#ended$.next();
        if (!ended.isForgotten) facts.tell({ kind: 'left-over', what: `listeners of connection ${made.number}` });
      },
    });
    this.sockets.add(socket);
    return socket;
  }

  /** SIGTERM: what `ChatServer.close` does, but for HTTP. */
  close(done: () => void): void {
    if (this.#draining) return;
    this.#draining = true;
    const { world } = this.#pod;
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
      world,
      closing$,
    }).subscribe({
      complete: () => {
        this.#running.unsubscribe();
        this.#telling.unsubscribe();
        this.#stopPresence('told');
        this.#pod.hub.close();
        done();
      },
    });
  }

  #stopPresence(phase: 'stopped' | 'told' | 'killed'): void {
    this.#watching.unsubscribe();
    this.#options.facts.tell({ kind: 'presence-ends', pod: this.name, phase });
  }

  /** SIGKILL: nothing of it happens any more. */
  kill(): void {
    this.timeline.isDead = true;
    this.#stopPresence('killed');
    for (const socket of this.sockets) socket.kill();
  }
}

/** Two clocks of its own: what they show differs from those of all others, and from the true time. */
function worldOf({ name, timeline, chance, clock }: SimulatedPodOptions): World {
  let ids = 0;
  const pod = `${hex(name.slot + 1, 4)}${hex(name.life, 4)}`;
  const clocks = chance.fork('clocks');
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
    random: chance.next,
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
function complainingLogger(facts: Facts, pod: PodName): Logger {
  const silent = () => undefined;
  const warn = (details: unknown, event = 'logged') => {
    facts.tell({ kind: 'warned', pod, what: `${event}: ${JSON.stringify(details)}` });
  };
  const complain = (details: object | string, event = 'logged') => {
    const cause: unknown = typeof details === 'object' && 'err' in details ? details.err : details;
    facts.tell({ kind: 'failed', what: `${event}: ${String(cause)}` });
  };
  const log: Logger = { debug: silent, info: silent, warn, error: complain, fatal: complain, child: () => log };
  return log;
}
