import { formats, perServer, ratio } from '../figures.mjs';
import { measureLoad, takeRounds } from '../rounds.mjs';
import { SERVERS } from '../servers.mjs';

const CONNECTIONS = 10_000;
const PING_INTERVAL_S = 25;
const MAX_RATIO = 1.2;

const cpu = ({ load }) => load.server_cpu;

/** What idle connections cost while they are pinged. */
export const heartbeats = {
  name: 'heartbeats',
  title: '10,000 idle connections in 1,000 rooms, pinged every 25 s',
  about: `The measurement takes one ping interval, in which each connection gets one ping. The bare server does not ping, so a variant of it does: it has one timer for each connection, and its first ping has the same random delay as the service's. It does not check for pongs.`,
  parameters: { connections: CONNECTIONS, rooms: CONNECTIONS / 10, idle: true, seconds: PING_INTERVAL_S },
  run: (bench) => {
    const connections = bench.quick ? 1000 : CONNECTIONS;
    const load = {
      connections,
      rooms: connections / 10,
      idle: true,
      seconds: bench.quick ? 5 : PING_INTERVAL_S,
      warmUpSeconds: 1,
    };
    const subjects = ['chat-api', 'bare-pinging'].map((server) => ({ server, rounds: 2 }));
    return takeRounds(bench, subjects, ({ server }) => measureLoad(bench, server, load), brief);
  },
  table: (samples) => ({
    columns: ['server', 'round', 'CPU', 'pings'],
    rows: samples.map(({ server, round, load }) => [
      SERVERS[server].title,
      round,
      formats.percent(load.server_cpu),
      formats.count(load.pings_in),
    ]),
  }),
  checks: (samples) => {
    const measured = ratio(samples, [{ server: 'chat-api' }, { server: 'bare-pinging' }], cpu);
    const { 'bare-pinging': bare, ...ours } = perServer(samples, cpu, formats.percent);
    return [
      {
        what: 'CPU, of a core',
        values: { ...ours, bare: `${bare} with pings` },
        ratio: measured,
        target: `≤ ${MAX_RATIO} × bare that pings`,
        reached: measured <= MAX_RATIO && samples.every(({ load }) => load.connected === load.clients && load.closed === 0),
      },
    ];
  },
};

function brief({ load }) {
  return `${formats.percent(load.server_cpu)} of a core, ${load.pings_in} pings, ${load.connected} open`;
}
