import { startLoad, isSound } from '../load.mjs';
import { formats, medianOf, samplesOf } from '../figures.mjs';
import { takeRounds, timed, withServer } from '../rounds.mjs';
import { COMPARED, SERVERS } from '../servers.mjs';

const QUIET_ROOM = { connections: 10, rooms: 1, senders: 2, rate: 100, seconds: 5, warmUpSeconds: 1 };
const MAX_P99_MS = 10;
const MAX_GROWTH_MB = 32;
const MB = 1e6;

const CALM = 'calm';
const FLOODED = 'flooded';

const p99 = ({ load }) => load.p99_ms;

/** One client that floods, and the people in another room. */
export const flood = floodCase({
  name: 'flood',
  title: 'One client floods; another room of 10, 100 msg/s',
  about: 'The flooding client keeps 500 messages under way in its own room: it sends one for each that comes back.',
  // Far beyond the publish window: whatever the server reads, more is there.
  flooders: { connections: 1, rooms: 1, senders: 1, rate: 0, inFlight: 500 },
});

/** Messages as large as may be, whose echoes fill Redis' buffer for the pod where nothing bounds them. */
export const largeFlood = floodCase({
  name: 'large-flood',
  title: 'Two clients flood with messages of 64 KB; another room of 10, 100 msg/s',
  about: 'Both flooding clients are in one separate room, and together keep 100 messages under way.',
  flooders: { connections: 2, rooms: 1, senders: 2, rate: 0, inFlight: 100, contentBytes: 64_000 },
});

function floodCase({ name, title, about, flooders }) {
  return {
    name,
    title,
    about: `${about} Memory is the growth of the resident set during the flood, after its first second.`,
    parameters: {
      ...QUIET_ROOM,
      "flooders' messages under way": flooders.inFlight,
      ...(flooders.contentBytes && { "flooders' bytes a message": flooders.contentBytes }),
    },
    run: (bench) => {
      const subjects = COMPARED.flatMap((server) => [CALM, FLOODED].map((variant) => ({ server, variant })));
      return takeRounds(bench, subjects, (subject) => measureQuietRoom(bench, subject, flooders), brief);
    },
    table: (samples) => ({
      columns: ['server', 'calm p99', 'flooded p50', 'p99', 'longest', "flooders' messages", 'memory grew by'],
      rows: COMPARED.map((server) => {
        const [{ load, flooder, grewBytes }] = samplesOf(samples, server, FLOODED);
        return [
          SERVERS[server].title,
          formats.ms(medianOf(samples, server, p99, CALM)),
          ...[load.p50_ms, load.p99_ms, load.max_ms].map(formats.ms),
          formats.perSecond(flooder.delivered_per_s),
          formats.mb(grewBytes / MB),
        ];
      }),
    }),
    checks: (samples) => {
      const [{ load, flooder, grewBytes }] = samplesOf(samples, 'chat-api', FLOODED);
      const both = (server) =>
        [CALM, FLOODED].map((variant) => formats.ms(medianOf(samples, server, p99, variant))).join(' and ');
      return [
        {
          what: `another room's p99, without and with the ${name.replace('-', ' ')}`,
          values: Object.fromEntries(COMPARED.map((server) => [server, both(server)])),
          target: `< ${MAX_P99_MS} ms, memory grows by < ${MAX_GROWTH_MB} MB`,
          reached: load.p99_ms < MAX_P99_MS && grewBytes < MAX_GROWTH_MB * MB && isSound(load) && isSound(flooder),
        },
      ];
    },
  };
}

function measureQuietRoom(bench, { server: name, variant }, flooders) {
  const talk = timed(bench, QUIET_ROOM);
  return withServer(bench, name, { probeMemory: true }, async (server) => {
    const flooding = variant === FLOODED ? startFlood(server, flooders, talk.seconds + talk.warmUpSeconds + 2) : undefined;
    await flooding?.measuring;
    const before = await server.memory();
    const load = await startLoad(server, { redisPid: bench.redis.pid, ...talk }).result();
    const grewBytes = (await server.memory()).rss - before.rss;
    return { load, grewBytes, ...(flooding && { flooder: await flooding.result() }) };
  });
}

function startFlood(server, flooders, seconds) {
  return startLoad(server, { ...flooders, roomPrefix: 'flood-', seconds, warmUpSeconds: 1 });
}

function brief({ load, flooder, grewBytes }) {
  const others = flooder
    ? `, the flooder ${formats.perSecond(flooder.delivered_per_s)}, memory grew by ${formats.mb(grewBytes / MB)}`
    : '';
  return `p99 ${formats.ms(load.p99_ms)}, longest ${formats.ms(load.max_ms)}${others}`;
}
