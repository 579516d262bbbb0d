import { atMostOpen } from '../machine.mjs';
import { startLoad } from '../load.mjs';
import { formats, medianOf, ratio, soundness } from '../figures.mjs';
import { takeRounds, timed, withServer } from '../rounds.mjs';
import { COMPARED, SERVERS } from '../servers.mjs';
import { brief } from './fan-out.mjs';

const OTHERS = atMostOpen(20_000);
const MEMBERS_PER_ROOM = 10;
const MAX_RATIO = 1.1;
/** Longer than the case: pings are what connections cost, not what a message does. */
const NO_PINGS = { PING_INTERVAL_MS: '600000', PONG_TIMEOUT_MS: '1200000' };
const TALK = { connections: 2, rooms: 1, senders: 2, rate: 0, inFlight: 8, seconds: 4, warmUpSeconds: 2 };
const ROUNDS = { 'chat-api': 3 };

const ALONE = 'alone';
const AMONG = 'among others';

const cpu = ({ load }) => load.server_cpu_us_per_delivery;

/** What a message in a small room costs, with and without a crowd in other rooms. */
export const crowd = {
  name: 'crowd',
  title: `A room of 2, with and without ${formats.count(OTHERS)} other connections in other rooms`,
  about: `Two members talk in a closed loop, ${TALK.inFlight} messages each under way; CPU is the CPU time of the whole process, divided by the number of deliveries. The service sends no pings meanwhile (they are a separate case); the figure of Socket.IO includes its pings, about ${formats.count(OTHERS / 25)} a second.`,
  parameters: { ...TALK, others: OTHERS },
  run: (bench) => {
    const subjects = COMPARED.flatMap((server) =>
      [ALONE, AMONG].map((variant) => ({ server, variant, rounds: ROUNDS[server] ?? 1 })),
    );
    return takeRounds(bench, subjects, (subject) => measureTalk(bench, subject), brief);
  },
  table: (samples) => ({
    columns: ['server', 'alone, CPU per delivery', 'among others', 'ratio', 'deliveries alone', 'among others'],
    rows: COMPARED.map((server) => [
      SERVERS[server].title,
      ...[ALONE, AMONG].map((variant) => formats.us(medianOf(samples, server, cpu, variant))),
      formats.times(amongOverAlone(samples, server)),
      ...[ALONE, AMONG].map((variant) =>
        formats.perSecond(medianOf(samples, server, ({ load }) => load.delivered_per_s, variant)),
      ),
    ]),
  }),
  checks: (samples) => {
    const ratios = COMPARED.map((server) => [server, `× ${formats.times(amongOverAlone(samples, server))}`]);
    return [
      {
        what: 'CPU per delivery among others, over that alone',
        values: Object.fromEntries(ratios),
        target: `≤ × ${formats.times(MAX_RATIO)}`,
        reached: amongOverAlone(samples, 'chat-api') <= MAX_RATIO && soundness(samples),
      },
    ];
  },
};

function measureTalk(bench, { server: name, variant }) {
  return withServer(bench, name, { env: NO_PINGS }, async (server) => {
    const others = variant === AMONG ? await openOthers(bench, server) : undefined;
    const load = await startLoad(server, { redisPid: bench.redis.pid, ...timed(bench, TALK) }).result();
    await others?.kill();
    return { load };
  });
}

async function openOthers({ quick }, server) {
  const connections = quick ? 2000 : OTHERS;
  const others = startLoad(server, {
    idle: true,
    roomPrefix: 'other-',
    connections,
    rooms: connections / MEMBERS_PER_ROOM,
    seconds: 600,
  });
  await others.open;
  return others;
}

function amongOverAlone(samples, server) {
  return ratio(
    samples,
    [
      { server, variant: AMONG },
      { server, variant: ALONE },
    ],
    cpu,
  );
}
