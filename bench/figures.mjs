import { isSound } from './load.mjs';

/** The middle of some numbers; of an even count, the mean of the two in the middle. NaN of none. */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The samples of one server, of one variant where the case has several. */
export function samplesOf(samples, server, variant) {
  return samples.filter((sample) => sample.server === server && sample.variant === variant);
}

/** The median of a figure over a server's rounds. */
export function medianOf(samples, server, figure, variant) {
  return median(samplesOf(samples, server, variant).map(figure));
}

/**
 * How a figure of one subject compares with that of another in the same round: the median of the rounds' ratios.
 *
 * @param of what is divided by what: `{ server, variant }` twice
 */
export function ratio(samples, [above, below], figure) {
  const base = new Map(samplesOf(samples, below.server, below.variant).map((sample) => [sample.round, figure(sample)]));
  const ratios = samplesOf(samples, above.server, above.variant)
    .filter(({ round }) => base.has(round))
    .map((sample) => figure(sample) / base.get(sample.round));
  return median(ratios);
}

/** A figure for each server that has samples, as the table of targets shows it. */
export function perServer(samples, figure, format, variant) {
  const servers = [...new Set(samples.map(({ server }) => server))];
  return Object.fromEntries(servers.map((server) => [server, format(medianOf(samples, server, figure, variant))]));
}

/** Whether the service lost, repeated or closed nothing in any of the samples. */
export function soundness(samples) {
  return samples.filter(({ server }) => server === 'chat-api').every(({ load }) => isSound(load));
}

export const formats = {
  us: (value) => `${significant(value)} µs`,
  ms: (value) => `${significant(value)} ms`,
  kb: (value) => `${value.toFixed(1)} KB`,
  mb: (value) => `${significant(value)} MB`,
  percent: (value) => `${significant(value * 100)} %`,
  times: (value) => value.toFixed(2),
  perSecond: (value) =>
    value >= 1e6 ? `${(value / 1e6).toFixed(2)} M/s` : value >= 1000 ? `${(value / 1000).toFixed(1)} k/s` : `${value}/s`,
  count: (value) => value.toLocaleString('en'),
};

/** Two or three digits that mean something. */
function significant(value) {
  if (!Number.isFinite(value)) return '–';
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
