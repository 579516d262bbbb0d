import { startLoad } from './load.mjs';
import { SERVERS, startServer } from './servers.mjs';

const QUICK_SECONDS = 2;

/**
 * Measures subjects by turns, round after round, every second round backwards: whatever drifts on the machine meets all alike.
 *
 * @param bench what a case is given: see run.mjs
 * @param subjects `{ server, variant?, rounds? }`
 * @param measure of a subject, to its figures
 * @param brief figures in a few words, for the terminal
 * @returns one sample a subject and round: `{ server, variant?, round, ...figures }`
 */
export async function takeRounds(bench, subjects, measure, brief) {
  const samples = [];
  const rounds = Math.max(...subjects.map((subject) => roundsOf(bench, subject)));
  for (let round = 1; round <= rounds; round++) {
    const order = round % 2 === 1 ? subjects : subjects.toReversed();
    for (const subject of order.filter((each) => round <= roundsOf(bench, each))) {
      const { server, variant } = subject;
      const label = [SERVERS[server].title, variant, rounds > 1 && `round ${round}`].filter(Boolean).join(', ');
      const figures = await bench.progress(label, () => measure(subject), brief);
      samples.push({ server, ...(variant && { variant }), round, ...figures });
    }
  }
  return samples;
}

function roundsOf({ quick }, { rounds = 1 }) {
  return quick ? 1 : rounds;
}

/** Starts a server of its own, does something with it and stops it; adds what it said where it did not survive. */
export async function withServer(bench, name, options, use) {
  const server = await startServer(name, { redisUrl: bench.redis.url, ...options });
  try {
    const figures = await use(server);
    const death = server.death();
    return death === undefined ? figures : { ...figures, death };
  } finally {
    await server.stop();
  }
}

/** One run of the load generator on a fresh server. */
export function measureLoad(bench, name, load, options = {}) {
  return withServer(bench, name, options, async (server) => ({
    load: await startLoad(server, { redisPid: bench.redis.pid, ...load }).result(),
  }));
}

/** The parameters of a load; short ones in a quick run. */
export function timed({ quick }, load) {
  return quick
    ? { ...load, seconds: Math.min(load.seconds, QUICK_SECONDS), warmUpSeconds: Math.min(load.warmUpSeconds, 1) }
    : load;
}
