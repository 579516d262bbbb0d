import { startLoad } from '../load.mjs';
import { formats, medianOf, ratio, samplesOf } from '../figures.mjs';
import { takeRounds, withServer } from '../rounds.mjs';

const MAX_RATIO = 1.2;
const LOAD = { connections: 1000, rooms: 1, senders: 50, rate: 500, seconds: 6, warmUpSeconds: 2 };

/** Long enough for a buffer to fill up. */
const QUICK_SECONDS = 4;

const ALL_READ = 'all read';
const ONE_STALLS = 'one stalls';

const p99 = ({ load }) => load.p99_ms;

/** One member of a large room that reads nothing, until it is closed. */
export const stalledMember = {
  name: 'stalled-member',
  title: 'One member that stalls in a room of 1,000, 500 msg/s',
  about:
    'The member stops reading when the measurement begins. Within the measurement its buffer fills up and it is closed with 4000.',
  parameters: { ...LOAD, stalled: '0 / 1' },
  run: (bench) => {
    const subjects = [ALL_READ, ONE_STALLS].map((variant) => ({ server: 'chat-api', variant, rounds: 3 }));
    return takeRounds(bench, subjects, (subject) => measureOthers(bench, subject), brief);
  },
  table: (samples) => ({
    columns: ['room', 'round', 'p50', 'p99', 'longest', 'CPU per delivery', 'closed with 4000'],
    rows: samples.map(({ variant, round, load, tooSlow }) => [
      variant,
      round,
      ...[load.p50_ms, load.p99_ms, load.max_ms].map(formats.ms),
      formats.us(load.server_cpu_us_per_delivery),
      tooSlow,
    ]),
  }),
  checks: (samples) => {
    const subjects = [ONE_STALLS, ALL_READ].map((variant) => ({ server: 'chat-api', variant }));
    const measured = ratio(samples, subjects, p99);
    const [stalled, reading] = subjects.map(({ server, variant }) => formats.ms(medianOf(samples, server, p99, variant)));
    const closed = samplesOf(samples, 'chat-api', ONE_STALLS).every(({ tooSlow }) => tooSlow === 1);
    const complete = samples.every(({ load }) => load.delivered >= load.expected && load.gaps + load.repeats === 0);
    return [
      {
        what: "the others' p99, with one stalled and without",
        values: { 'chat-api': `${stalled} and ${reading} (× ${formats.times(measured)})` },
        target: `≤ × ${MAX_RATIO}, and it is closed`,
        reached: measured <= MAX_RATIO && closed && complete,
      },
    ];
  },
};

function measureOthers(bench, { variant }) {
  const stalled = variant === ONE_STALLS ? { stalled: 1 } : {};
  return withServer(bench, 'chat-api', {}, async (server) => {
    const load = await startLoad(server, {
      redisPid: bench.redis.pid,
      ...LOAD,
      ...stalled,
      seconds: bench.quick ? QUICK_SECONDS : LOAD.seconds,
    }).result();
    return { load, tooSlow: await server.metric('chat_closes_total{code="4000"}') };
  });
}

function brief({ load, tooSlow }) {
  return `p99 ${formats.ms(load.p99_ms)}, longest ${formats.ms(load.max_ms)}, ${tooSlow} closed with 4000`;
}
