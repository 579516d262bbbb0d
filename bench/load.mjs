import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { allCpuSeconds, cpuSeconds, startProcess, stopProcess } from './processes.mjs';
import { SERVERS } from './servers.mjs';

export const LOAD_GENERATOR = fileURLToPath(new URL('.build/wsload', import.meta.url));

/** An overloaded server may have minutes of messages under way when a run ends; nobody waits for them. */
const DRAIN_SECONDS = 3;

/** What the rest of the machine may use of a core before a run counts as disturbed. */
export const DISTURBING_SHARE = 0.1;

/** The options of wsload by their names here; its own are explained on top of wsload.c. */
const OPTIONS = {
  connections: '-c',
  rooms: '-r',
  senders: '-s',
  rate: '-R',
  inFlight: '-w',
  contentBytes: '-b',
  seconds: '-d',
  warmUpSeconds: '-W',
  messages: '-n',
  stalled: '-k',
};

/**
 * A load generator at work on a server.
 *
 * @param server as `startServer` gives it
 * @param {object} options the keys of `OPTIONS`; `idle` sends nothing, `roomPrefix` gives rooms of its own, `redisPid` also measures Redis
 */
export function startLoad(server, { idle = false, roomPrefix = 'room-', redisPid, ...options }) {
  const { path, loadMode } = SERVERS[server.name];
  const values = Object.entries(options).flatMap(([name, value]) => [OPTIONS[name], String(value)]);
  const child = startProcess('load', LOAD_GENERATOR, [
    ...['-t', `127.0.0.1:${server.port}`, '-p', path.replace('%s', `${roomPrefix}%d`), '-P', String(server.pid)],
    ...['-v', '-D', String(DRAIN_SECONDS), ...values],
    ...(loadMode ? ['-m', loadMode] : []),
    ...(idle ? ['-i'] : []),
    ...(options.stalled ? ['-B'] : []),
  ]);
  const ended = once(child, 'close');
  const stages = stagesOf(child, ended);
  const shares = redisPid === undefined ? undefined : sharesOf(stages, { server: server.pid, load: child.pid, redis: redisPid });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  return {
    open: stages.open,
    measuring: stages.measuring,
    /** What it measured: the JSON that wsload prints, and what else ran meanwhile: `redis_cpu`, `other_cpu`, shares of a core. */
    result: async () => {
      const [code] = await ended;
      if (code !== 0) throw new Error(`wsload ended with ${code}: ${child.said()}`);
      return { ...JSON.parse(output.trim().split('\n').at(-1)), ...(await shares) };
    },
    kill: () => stopProcess(child),
  };
}

/** Promises of the words that wsload says on the way. */
function stagesOf(child, ended) {
  const lines = createInterface(child.stderr);
  const said = (word) =>
    new Promise((resolve) => {
      lines.on('line', (line) => {
        if (line === word) resolve();
      });
      void ended.then(resolve);
    });
  return { open: said('open'), measuring: said('measuring'), measured: said('measured') };
}

/** What Redis used while the load was measured, and what is nobody's here: a machine that does other work measures that too. */
async function sharesOf({ measuring, measured }, pids) {
  await measuring;
  const before = readCpu(pids);
  await measured;
  const after = readCpu(pids);
  const share = (name) => (after[name] - before[name]) / (after.seconds - before.seconds);
  const known = ['server', 'load', 'redis', 'bench'].reduce((sum, name) => sum + share(name), 0);
  return { redis_cpu: share('redis'), other_cpu: Math.max(0, share('all') - known) };
}

function readCpu({ server, load, redis }) {
  const { user, system } = process.cpuUsage();
  return {
    seconds: performance.now() / 1000,
    server: cpuSeconds(server),
    load: cpuSeconds(load),
    redis: cpuSeconds(redis),
    bench: (user + system) / 1e6,
    all: allCpuSeconds(),
  };
}

/** Whether all that was to be delivered was, once, in order, and nobody was closed. */
export function isSound({ failed, closed, gaps, repeats, errors_in, expected, delivered }) {
  return failed === 0 && closed === 0 && gaps === 0 && repeats === 0 && errors_in === 0 && delivered === expected;
}
