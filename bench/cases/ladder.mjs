import { formats } from '../figures.mjs';
import { isSound } from '../load.mjs';
import { measureLoad, takeRounds, timed } from '../rounds.mjs';
import { COMPARED, SERVERS } from '../servers.mjs';
import { brief } from './fan-out.mjs';

const MEMBERS = 1000;
const RATES = [50, 100, 200, 500, 1000, 2000, 3000, 4000];
const QUICK_RATES = [50, 200, 1000, 3000];
const LOAD = { connections: MEMBERS, rooms: 1, senders: 50, seconds: 3, warmUpSeconds: 2 };
/** A server that brings less of what it is offered, or brings it later, is overloaded. */
const MIN_SHARE = 0.98;
const MAX_P99_MS = 1000;
/** So many steps beyond what it can do show where it ends. */
const OVERLOADED_STEPS = 2;

/** Throughput and latency against offered load, for the charts. */
export const ladder = {
  name: 'ladder',
  title: 'One room of 1,000, from 50 to 4,000 msg/s',
  about: `The load of each server rises until the server has been overloaded twice: less than ${formats.percent(MIN_SHARE)} of the deliveries in time, a p99 over ${MAX_P99_MS / 1000} s, a lost message or a closed connection. The latency of an overloaded server grows as long as the load lasts, so its value only shows that the server is overloaded.`,
  parameters: { ...LOAD, rate: RATES.join(' / ') },
  run: async (bench) => {
    const samples = [];
    const climbing = new Map(COMPARED.map((server) => [server, OVERLOADED_STEPS]));
    for (const variant of bench.quick ? QUICK_RATES : RATES) {
      const load = { ...timed(bench, LOAD), rate: variant };
      const subjects = [...climbing.keys()].map((server) => ({ server, variant }));
      const taken = await takeRounds(bench, subjects, ({ server }) => measureLoad(bench, server, load), brief);
      for (const sample of taken.filter(isOverloaded)) {
        const left = climbing.get(sample.server) - 1;
        if (left === 0) climbing.delete(sample.server);
        else climbing.set(sample.server, left);
      }
      samples.push(...taken);
    }
    return samples;
  },
  table: (samples) => {
    const rates = [...new Set(samples.map(({ variant }) => variant))];
    const rows = rates.map((rate) => {
      const cells = COMPARED.map((server) => cell(samples.find((sample) => sample.server === server && sample.variant === rate)));
      return [formats.count(rate), ...cells];
    });
    return { columns: ['msg/s offered', ...COMPARED.map((server) => SERVERS[server].title)], rows };
  },
  checks: (samples) => [
    {
      what: 'most deliveries a second, of any step',
      values: Object.fromEntries(COMPARED.map((server) => [server, formats.perSecond(mostDelivered(samples, server))])),
      target: 'none: for comparison',
    },
  ],
  /** Lines of the charts: deliveries a second, and p99, against messages offered a second. */
  climb: (samples) =>
    COMPARED.map((server) => ({
      server,
      points: samples
        .filter((sample) => sample.server === server)
        .map((sample) => ({
          offered: sample.variant,
          delivered: sample.load.delivered_per_s,
          p99: sample.load.p99_ms,
          overloaded: isOverloaded(sample),
        })),
    })),
  members: MEMBERS,
};

function isOverloaded({ variant, load }) {
  return !isSound(load) || load.p99_ms > MAX_P99_MS || load.delivered_per_s < variant * MEMBERS * MIN_SHARE;
}

function cell(sample) {
  if (sample === undefined) return '–';
  const { load } = sample;
  const figures = `${formats.perSecond(load.delivered_per_s)}, p99 ${formats.ms(load.p99_ms)}, ${formats.us(load.server_cpu_us_per_delivery)}`;
  return isOverloaded(sample) ? `${figures}, overloaded` : figures;
}

function mostDelivered(samples, server) {
  return Math.max(...samples.filter((sample) => sample.server === server).map(({ load }) => load.delivered_per_s));
}
