import { DISTURBING_SHARE, isSound } from '../load.mjs';
import { formats, medianOf, perServer, ratio, samplesOf, soundness } from '../figures.mjs';
import { measureLoad, takeRounds, timed } from '../rounds.mjs';
import { COMPARED, SERVERS } from '../servers.mjs';

const OURS = { server: 'chat-api' };
const BARE = { server: 'bare' };

/** The figures that targets ask for, of one sample. */
const cpu = { name: 'CPU per delivery', of: ({ load }) => load.server_cpu_us_per_delivery, format: formats.us };
const p99 = { name: 'p99', of: ({ load }) => load.p99_ms, format: formats.ms };

/** Targets are about the service and the bare server; the others are there to be compared with. */
const ROUNDS = { 'chat-api': 3, bare: 3 };

export const oneRoom = {
  name: 'one-room',
  title: 'One room of 1,000, 50 msg/s',
  ...sideBySide({ connections: 1000, rooms: 1, senders: 10, rate: 50 }),
  checks: (samples) => [atMostTimesBare(samples, cpu, 0.9)],
};

export const smallRooms = {
  name: 'small-rooms',
  title: '200 rooms of 10, 2,000 msg/s',
  ...sideBySide({ connections: 2000, rooms: 200, senders: 200, rate: 2000 }),
  checks: (samples) => [atMostTimesBare(samples, cpu, 1)],
};

export const pairs = {
  name: 'pairs',
  title: '1,000 rooms of 2, closed loop',
  ...sideBySide({ connections: 2000, rooms: 1000, senders: 1000, rate: 0, inFlight: 1 }),
  about:
    'Each of 1,000 senders sends the next message as soon as its last one has come back, so each server is as busy as it can be.',
  checks: (samples) => [atMostTimesBare(samples, cpu, 0.7)],
};

export const middleRooms = {
  name: 'middle-rooms',
  title: '20 rooms of 100, 1,000 msg/s',
  ...sideBySide({ connections: 2000, rooms: 20, senders: 200, rate: 1000 }),
  checks: (samples) => [atMostTimesBare(samples, p99, 0.5)],
};

const BUSY_RATE = 3000;
const BUSY_MEMBERS = 1000;
const BUSY_P99_MS = 150;
/** What the clock of the load generator may make of an exact rate. */
const RATE_TOLERANCE = 0.999;

export const busyRoom = {
  name: 'busy-room',
  title: 'One room of 1,000, 3,000 msg/s by 50 senders',
  about: 'The throughput chart shows how many messages the other servers handle.',
  parameters: { connections: BUSY_MEMBERS, rooms: 1, senders: 50, rate: BUSY_RATE, seconds: 30, warmUpSeconds: 2 },
  run: (bench) => takeRounds(bench, [OURS], () => measureLoad(bench, 'chat-api', timed(bench, busyRoom.parameters)), brief),
  table: loadTable,
  checks: (samples) => {
    const [{ load }] = samplesOf(samples, 'chat-api');
    const sustained = load.delivered_per_s >= BUSY_RATE * BUSY_MEMBERS * RATE_TOLERANCE && isSound(load);
    return [
      {
        what: 'deliveries sustained, none lost',
        values: { 'chat-api': `${formats.perSecond(load.delivered_per_s)}, ${isSound(load) ? 'none' : 'some'} lost` },
        target: `${formats.perSecond(BUSY_RATE * BUSY_MEMBERS)}, none lost`,
        reached: sustained,
      },
      {
        what: 'p99',
        values: { 'chat-api': formats.ms(load.p99_ms) },
        target: `< ${BUSY_P99_MS} ms`,
        reached: load.p99_ms < BUSY_P99_MS,
      },
    ];
  },
};

/** The same load on all servers, by turns. */
function sideBySide(parameters) {
  const load = { ...parameters, seconds: 5, warmUpSeconds: 2 };
  return {
    parameters: load,
    run: (bench) => {
      const subjects = COMPARED.map((server) => ({ server, rounds: ROUNDS[server] ?? 1 }));
      return takeRounds(bench, subjects, ({ server }) => measureLoad(bench, server, timed(bench, load)), brief);
    },
    table: loadTable,
  };
}

/** A check of the service against the bare server in the same round; what it lost counts as not reached. */
function atMostTimesBare(samples, { name, of, format }, limit) {
  const measured = ratio(samples, [OURS, BARE], of);
  return {
    what: name,
    values: perServer(samples, of, format),
    ratio: measured,
    target: `≤ ${limit.toFixed(1)} × bare`,
    reached: measured <= limit && soundness(samples),
  };
}

/** A sample in a few words, for the terminal. */
export function brief({ load, death }) {
  const lost = isSound(load) ? '' : `, LOST OR CLOSED (${load.closed} closed, ${load.expected - load.delivered} undelivered)`;
  const figures = [
    formats.us(load.server_cpu_us_per_delivery),
    formats.perSecond(load.delivered_per_s),
    `p99 ${formats.ms(load.p99_ms)}`,
  ];
  const disturbed =
    load.other_cpu > DISTURBING_SHARE ? `, DISTURBED: others took ${formats.percent(load.other_cpu)} of a core` : '';
  return `${figures.join(', ')}${lost}${disturbed}${death === undefined ? '' : `, DIED: ${death}`}`;
}

/** The medians of each server, for the page. */
export function loadTable(samples) {
  const servers = [...new Set(samples.map(({ server }) => server))];
  const columns = [
    'server',
    'CPU per delivery',
    'deliveries',
    'p50',
    'p99',
    'longest',
    'server CPU',
    'load CPU',
    'Redis CPU',
    'undelivered',
    'closed',
  ];
  const rows = servers.map((server) => {
    const middle = (figure) => medianOf(samples, server, ({ load }) => load[figure]);
    const most = (figure) => Math.max(...samplesOf(samples, server).map(({ load }) => figure(load)));
    return [
      SERVERS[server].title,
      formats.us(middle('server_cpu_us_per_delivery')),
      formats.perSecond(middle('delivered_per_s')),
      ...['p50_ms', 'p99_ms', 'max_ms'].map((figure) => formats.ms(middle(figure))),
      ...['server_cpu', 'own_cpu', 'redis_cpu'].map((figure) => formats.percent(middle(figure))),
      formats.count(most(({ expected, delivered }) => expected - delivered)),
      formats.count(most(({ closed }) => closed)),
    ];
  });
  return { columns, rows };
}
