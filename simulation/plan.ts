import { SeededRandom } from './seeded-random.js';

/** When every run begins. */
export const START_MS = Date.UTC(2026, 0, 1);

/** What a run is made from; everything else follows from it. */
export interface Settings {
  readonly seed: number;
  readonly pods: number;
  readonly connections: number;
  readonly minutes: number;
  /** Absent: as the dice have it. */
  readonly redis?: RedisKind | undefined;
}

/** What can go wrong with machines and networks, and how a fault lasts and whom it hits. */
export const FAULT_KINDS = {
  'redis-restart': { lastsMs: [50, 8000], hits: 'all' },
  'redis-stop': { lastsMs: [500, 9000], hits: 'all' },
  'redis-full': { lastsMs: [1000, 6000], hits: 'all' },
  'redis-refuses': { lastsMs: [500, 5000], hits: 'all' },
  failover: { lastsMs: [200, 6000], hits: 'all' },
  demotion: { lastsMs: [0, 0], hits: 'all' },
  'kill-links': { lastsMs: [0, 0], hits: 'pod' },
  overflow: { lastsMs: [100, 3000], hits: 'pod' },
  'deaf-link': { lastsMs: [0, 0], hits: 'pod' },
  'mute-links': { lastsMs: [0, 0], hits: 'pod' },
  partition: { lastsMs: [200, 15_000], hits: 'pod' },
  'half-partition': { lastsMs: [200, 15_000], hits: 'pod' },
  'slow-link': { lastsMs: [1000, 10_000], hits: 'pod' },
  'thin-line': { lastsMs: [2000, 15_000], hits: 'pod' },
  'clock-set': { lastsMs: [0, 0], hits: 'pod' },
  drain: { lastsMs: [0, 0], hits: 'pod' },
  crash: { lastsMs: [100, 5000], hits: 'pod' },
  stall: { lastsMs: [100, 6000], hits: 'pod' },
  'slot-move': { lastsMs: [0, 0], hits: 'all', only: 'cluster' },
  'bus-cut': { lastsMs: [3000, 15_000], hits: 'all', only: 'cluster' },
  'sentinels-down': { lastsMs: [500, 15_000], hits: 'all', only: 'sentinel' },
} as const satisfies Record<string, FaultProfile>;

interface FaultProfile {
  readonly lastsMs: readonly [least: number, most: number];
  /** Everybody, or one pod and its ways. */
  readonly hits: 'all' | 'pod';
  /** The kind of Redis that it can befall; absent: any. */
  readonly only?: RedisKind;
}

/** One server and a replica that may take its place at the same address; the two with sentinels; three such pairs as a cluster. */
export const REDIS_KINDS = ['single', 'sentinel', 'cluster'] as const;
export type RedisKind = (typeof REDIS_KINDS)[number];

export type FaultKind = keyof typeof FAULT_KINDS;

/** Object.keys knows no literal types. */
export const ALL_FAULT_KINDS = Object.keys(FAULT_KINDS) as [FaultKind, ...FaultKind[]];

export interface Fault {
  /** In the plan, from 0; what a replay names it by. */
  readonly index: number;
  readonly kind: FaultKind;
  /** From the start of the run. */
  readonly atMs: number;
  readonly lastsMs: number;
  /** Whose pod it hits; -1 for everybody's. */
  readonly slot: number;
}

/** How a client behaves; all but the first two are faults of its own. */
const HABITS = ['steady', 'restless', 'slow', 'stalling', 'silent', 'vanishing', 'flooding', 'babbling'] as const;
export type Habit = (typeof HABITS)[number];

export interface ClientPlan {
  /** From 0; what a replay names it by. */
  readonly index: number;
  readonly rooms: readonly string[];
  readonly habit: Habit;
  /** On average, between two messages. */
  readonly talksEveryMs: number;
  readonly contentBytes: number;
}

/** `client-output-buffer-limit pubsub` of Redis, with its defaults. */
export interface OutputBuffer {
  readonly hardBytes: number;
  readonly softBytes: number;
  readonly softMs: number;
}

const OUTPUT_BUFFER: OutputBuffer = { hardBytes: 32 * 1024 * 1024, softBytes: 8 * 1024 * 1024, softMs: 60_000 };

/** Everything that will happen, but for what the code makes of it. */
export interface Plan {
  readonly settings: Settings;
  readonly durationMs: number;
  /** Nothing goes wrong. */
  readonly calm: boolean;
  readonly redis: RedisKind;
  readonly rooms: readonly [string, ...string[]];
  readonly clients: readonly ClientPlan[];
  readonly faults: readonly Fault[];
  /** What the pods are configured with, beside the defaults. */
  readonly environment: Readonly<Record<string, string>>;
  readonly outputBuffer: OutputBuffer;
}

/** What is left of a plan when a failure is made smaller; absent: all of it. */
export interface Selection {
  readonly faults?: readonly number[] | undefined;
  readonly clients?: readonly number[] | undefined;
  readonly durationMs?: number | undefined;
}

const MINUTE_MS = 60_000;
const LONG_MINUTES = 10;
/** About so many messages are said in a run at most, floods aside, so that long runs with many clients end. */
const MOST_MESSAGES = 30_000;
const TALKS_EVERY_MS = 1500;
const CALM_PLANS = 0.1;
/** Few say much at once: all of it is carried to everybody. */
const LARGE = 0.08;
const LARGE_BYTES = [16_000, 60_000] as const;
/** How often a kind of Redis' own misfortunes are among those to choose from. */
const OWN_SHARE = 3;
/** The first faults come when everybody is there. */
const WARM_UP_MS = 3000;
const FAULT_EVERY_MS = 6000;
/** Now and then all is well for a while, so that what must come right again can be seen to. */
const RESTS = 0.25;
const REST_MS = 45_000;

/** A seed's plan. What one client or fault is does not depend on the others, so that each can be left out. */
export function planOf(settings: Settings, selection: Selection = {}): Plan {
  const { seed, connections, minutes } = settings;
  const random = new SeededRandom(seed);
  const calm = random.happens(CALM_PLANS);
  const wholeMs = Math.round(minutes * MINUTE_MS);
  const durationMs = selection.durationMs ?? wholeMs;
  const redis = settings.redis ?? random.fork('redis').pick(['single', 'single', 'sentinel', 'cluster']);
  // At least one, and Array.from does not say so.
  const rooms = Array.from({ length: Math.max(2, Math.ceil(connections / 8)) }, (_, at) => `room-${at}`) as [string, ...string[]];
  const talksEveryMs = Math.max(TALKS_EVERY_MS, (connections * wholeMs) / MOST_MESSAGES);
  const clients = Array.from({ length: connections }, (_, index) =>
    clientOf(index, { random: random.fork(`client ${index}`), rooms, calm, talksEveryMs }),
  );
  const faults = calm ? [] : faultsOf(random.fork('faults'), settings, redis, wholeMs);
  const { faults: someFaults, clients: someClients } = selection;
  return {
    settings,
    durationMs,
    calm,
    redis,
    rooms,
    clients: someClients ? clients.filter(({ index }) => someClients.includes(index)) : clients,
    faults: faults.filter(({ index, atMs }) => atMs < durationMs && (someFaults?.includes(index) ?? true)),
    environment: environmentOf(random.fork('environment'), minutes),
    outputBuffer: OUTPUT_BUFFER,
  };
}

interface ClientSetting {
  readonly random: SeededRandom;
  readonly rooms: readonly string[];
  readonly calm: boolean;
  readonly talksEveryMs: number;
}

function clientOf(index: number, { random, rooms, calm, talksEveryMs }: ClientSetting): ClientPlan {
  const draw = random.next();
  const habit: Habit = calm || draw < 0.6 ? random.pick(['steady', 'steady', 'restless']) : random.pick(HABITS);
  const count = random.happens(0.03) ? 0 : random.pick([1, 1, 1, 2, 3]);
  // The first rooms are the busy ones.
  const named = Array.from({ length: count }, () => rooms[Math.floor(random.next() ** 2 * rooms.length)] ?? '');
  return {
    index,
    rooms: [...new Set(named)],
    habit,
    talksEveryMs: talksEveryMs * (0.5 + random.next()),
    contentBytes: habit !== 'flooding' && random.happens(LARGE) ? random.pick(LARGE_BYTES) : random.pick([10, 60, 300, 2000]),
  };
}

function faultsOf(random: SeededRandom, { pods }: Settings, redis: RedisKind, wholeMs: number): Fault[] {
  const kinds = kindsOf(redis);
  const faults: Fault[] = [];
  for (let atMs = WARM_UP_MS; ;) {
    atMs += random.wait(FAULT_EVERY_MS) + (random.happens(RESTS) ? REST_MS : 0);
    const kind = random.pick(kinds);
    const {
      lastsMs: [least, most],
      hits,
    } = FAULT_KINDS[kind];
    const fault = {
      index: faults.length,
      kind,
      atMs,
      lastsMs: random.integer(least, most),
      slot: hits === 'all' ? -1 : random.integer(0, pods - 1),
    };
    if (atMs >= wholeMs) return faults;
    faults.push(fault);
  }
}

/** What can befall a kind of Redis; what can befall nothing else, more often, for there are fewer of them. */
function kindsOf(redis: RedisKind): [FaultKind, ...FaultKind[]] {
  const own = ALL_FAULT_KINDS.filter((kind) => onlyFor(kind) === redis);
  const any = ALL_FAULT_KINDS.filter((kind) => onlyFor(kind) === undefined);
  // There are many that befall any.
  return [...any, ...Array.from({ length: OWN_SHARE }, () => own).flat()] as [FaultKind, ...FaultKind[]];
}

function onlyFor(kind: FaultKind): RedisKind | undefined {
  const profile: FaultProfile = FAULT_KINDS[kind];
  return profile.only;
}

/** Small bounds, so that they are reached. */
function environmentOf(random: SeededRandom, minutes: number): Record<string, string> {
  return {
    SEND_BUFFER_MESSAGES: String(random.pick([8, 32, 256])),
    SEND_BUFFER_BYTES: String(random.pick([20_000, 200_000, 17_039_360])),
    SLOW_CONSUMER_POLICY: random.pick(['disconnect', 'drop-oldest']),
    PUBLISH_WINDOW: String(random.pick([1, 4, 32])),
    // Long runs take the defaults.
    ...(minutes < LONG_MINUTES && { PING_INTERVAL_MS: '5000', PONG_TIMEOUT_MS: '12000' }),
    PRESENCE_MAX_MEMBERS: String(random.pick([0, 5, 100])),
    SHUTDOWN_TIMEOUT_MS: '5000',
    SHUTDOWN_DELAY_MS: String(random.pick([0, 500])),
  };
}
