import { formats, medianOf, perServer, ratio } from '../figures.mjs';
import { measureLoad, takeRounds } from '../rounds.mjs';
import { COMPARED, SERVERS } from '../servers.mjs';

const MEMBERS_PER_ROOM = 10;
const MOST = 10_000;
const POINTS = [1000, 2500, 5000, MOST];
const QUICK_POINTS = [500, 1000];
const MAX_KB = 9;
const MAX_CPU_RATIO = 1.5;
/** At the largest number, which the targets are about. */
const ROUNDS = { 'chat-api': 3, bare: 3 };

const kilobytes = ({ load }) => load.kb_per_connection;
const openingCpu = ({ load }) => load.connect_cpu_us;

/** Memory and CPU of connections that are opened and then idle, at several numbers of them. */
export const connections = {
  name: 'connections',
  title: 'Opening 10,000 connections in 1,000 rooms, then idle',
  about:
    'Each number of connections and each round has a new process. Memory is the growth of the resident set from before the first connection until half a second after the last, divided by the number of connections. CPU is the CPU time of the process while they are opened, divided in the same way.',
  parameters: { connections: POINTS.join(' / '), 'members of a room': MEMBERS_PER_ROOM, idle: true },
  run: async (bench) => {
    const samples = [];
    for (const count of bench.quick ? QUICK_POINTS : POINTS) {
      const subjects = COMPARED.map((server) => ({ server, variant: count, rounds: count === MOST ? (ROUNDS[server] ?? 1) : 1 }));
      const load = { connections: count, rooms: count / MEMBERS_PER_ROOM, idle: true, seconds: 0.5, warmUpSeconds: 0 };
      samples.push(...(await takeRounds(bench, subjects, ({ server }) => measureLoad(bench, server, load), brief)));
    }
    return samples;
  },
  table: (samples) => {
    const counts = countsOf(samples);
    const rows = COMPARED.map((server) => [
      SERVERS[server].title,
      ...counts.map((count) => formats.kb(medianOf(samples, server, kilobytes, count))),
      ...counts.map((count) => formats.us(medianOf(samples, server, openingCpu, count))),
    ]);
    const heads = (what) => counts.map((count) => `${what}, ${formats.count(count)}`);
    return { columns: ['server', ...heads('memory each'), ...heads('CPU to open one')], rows };
  },
  checks: (samples) => {
    const most = countsOf(samples).at(-1);
    const memory = medianOf(samples, 'chat-api', kilobytes, most);
    const cpuRatio = ratio(
      samples,
      [
        { server: 'chat-api', variant: most },
        { server: 'bare', variant: most },
      ],
      openingCpu,
    );
    const allOpen = samples.filter(({ server }) => server === 'chat-api').every(({ load }) => load.connected === load.clients);
    return [
      {
        what: 'memory of an idle connection',
        values: perServer(samples, kilobytes, formats.kb, most),
        target: `≤ ${MAX_KB} KB`,
        reached: memory <= MAX_KB && allOpen,
      },
      {
        what: 'CPU to open a connection',
        values: perServer(samples, openingCpu, formats.us, most),
        ratio: cpuRatio,
        target: `≤ ${MAX_CPU_RATIO} × bare`,
        reached: cpuRatio <= MAX_CPU_RATIO && allOpen,
      },
    ];
  },
  /** Lines of the chart: what the process grew by, in MB, against the connections. */
  growth: (samples) =>
    COMPARED.map((server) => ({
      server,
      points: countsOf(samples).map((count) => [
        count,
        medianOf(samples, server, ({ load }) => load.rss_connected_mb - load.rss_before_mb, count),
      ]),
    })),
};

function countsOf(samples) {
  return [...new Set(samples.map(({ variant }) => variant))];
}

function brief({ load }) {
  return `${formats.kb(load.kb_per_connection)} and ${formats.us(load.connect_cpu_us)} each, ${load.connected} open after ${load.connect_s} s`;
}
