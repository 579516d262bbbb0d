import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { atMostOpen } from '../machine.mjs';
import { startLoad, isSound } from '../load.mjs';
import { cpuSeconds, openFiles } from '../processes.mjs';
import { formats, medianOf, ratio, samplesOf } from '../figures.mjs';
import { takeRounds, timed, withServer } from '../rounds.mjs';
import { SERVERS } from '../servers.mjs';

const MANY = atMostOpen(20_000);
const QUICK_MANY = 4000;
const MEMBERS_PER_ROOM = 10;
const STAYERS = { connections: 100, rooms: 10, senders: 10, rate: 200, seconds: 4, warmUpSeconds: 1 };
const POLL_MS = 10;
const MAX_SECONDS = 60;
/** Double would be linear, fourfold quadratic. */
const MAX_RATIO = 2.5;
/** What a server may open beside its connections. */
const SPARE_FILES = 5;

const cpu = ({ leaveCpuSeconds }) => leaveCpuSeconds;

/** Many connections end at once, while others talk. */
export const massLeave = {
  name: 'mass-leave',
  title: `${formats.count(MANY)} connections leave at once`,
  about: `The process of these clients is killed while ${STAYERS.connections} others talk in rooms of ten, ${STAYERS.rate} msg/s. The time lasts from the kill until the server has no socket of these clients and, for the service, the gauge \`chat_connections\` counts only the others. CPU is the process's CPU time meanwhile, less what it had used in a span of the same length just before. The latency of the others is measured over ${STAYERS.seconds} s around it.`,
  parameters: { leave: `${MANY / 2} / ${MANY}`, ...STAYERS },
  run: (bench) => {
    const most = bench.quick ? QUICK_MANY : MANY;
    const subjects = Object.entries({ 'chat-api': 2, bare: 1 }).flatMap(([server, rounds]) =>
      [most / 2, most].map((variant) => ({ server, variant, rounds })),
    );
    return takeRounds(bench, subjects, (subject) => measureLeave(bench, subject), brief);
  },
  table: (samples) => ({
    columns: ['server', 'who leaves', 'round', 'CPU', 'time', "the others' p50", 'p99', 'longest'],
    rows: samples.map(({ server, variant, round, leaveCpuSeconds, leaveSeconds, load }) => [
      SERVERS[server].title,
      formats.count(variant),
      round,
      ...[leaveCpuSeconds, leaveSeconds].map((seconds) => formats.ms(seconds * 1000)),
      ...[load.p50_ms, load.p99_ms, load.max_ms].map(formats.ms),
    ]),
  }),
  checks: (samples) => {
    const [half, most] = [...new Set(samples.map(({ variant }) => variant))];
    const growth = (server) =>
      ratio(
        samples,
        [
          { server, variant: most },
          { server, variant: half },
        ],
        cpu,
      );
    const longest = (server) => medianOf(samples, server, ({ load }) => load.max_ms, most);
    const served = samplesOf(samples, 'chat-api', most).every(({ load }) => isSound(load));
    return [
      {
        what: `CPU for ${formats.count(most)} to leave, over that for ${formats.count(half)}`,
        values: { 'chat-api': `× ${formats.times(growth('chat-api'))}`, bare: `× ${formats.times(growth('bare'))}` },
        target: `about × 2 (≤ ${MAX_RATIO})`,
        reached: growth('chat-api') <= MAX_RATIO,
      },
      {
        what: 'the others’ longest wait meanwhile',
        values: {
          'chat-api': `${formats.ms(longest('chat-api'))}, ${served ? 'none' : 'some'} lost`,
          bare: formats.ms(longest('bare')),
        },
        ratio: longest('chat-api') / longest('bare'),
        target: 'none lost or closed',
        reached: served,
      },
    ];
  },
};

function measureLeave(bench, { server: name, variant: connections }) {
  return withServer(bench, name, {}, async (server) => {
    const filesAtFirst = openFiles(server.pid);
    const leaving = startLoad(server, {
      idle: true,
      roomPrefix: 'other-',
      connections,
      rooms: connections / MEMBERS_PER_ROOM,
      seconds: 600,
    });
    await leaving.open;
    const staying = startLoad(server, timed(bench, STAYERS));
    await staying.measuring;
    const before = await watch(server, () => sleep(1000));
    void leaving.kill();
    const during = await watch(server, () => untilGone(server, filesAtFirst));
    const leaveCpuSeconds = during.cpu - (before.cpu / before.seconds) * during.seconds;
    return { leaveSeconds: during.seconds, leaveCpuSeconds, load: await staying.result() };
  });
}

/** How long something takes, and the CPU that the server uses meanwhile. */
async function watch(server, something) {
  const [beganMs, cpuBefore] = [performance.now(), cpuSeconds(server.pid)];
  await something();
  return { seconds: (performance.now() - beganMs) / 1000, cpu: cpuSeconds(server.pid) - cpuBefore };
}

/** Its files are counted from without, which costs the server nothing; only then is it asked itself. */
async function untilGone(server, filesAtFirst) {
  const deadlineMs = performance.now() + MAX_SECONDS * 1000;
  const until = async (isTrue) => {
    while (!(await isTrue())) {
      if (performance.now() > deadlineMs) throw new Error(`not all connections were gone within ${MAX_SECONDS} s`);
      await sleep(POLL_MS);
    }
  };
  await until(() => openFiles(server.pid) <= filesAtFirst + STAYERS.connections + SPARE_FILES);
  if (server.name === 'chat-api') await until(async () => (await server.metric('chat_connections')) <= STAYERS.connections);
}

function brief({ leaveSeconds, leaveCpuSeconds, load }) {
  const took = `${formats.ms(leaveCpuSeconds * 1000)} of CPU within ${formats.ms(leaveSeconds * 1000)}`;
  return `${took}; the others: p99 ${formats.ms(load.p99_ms)}, longest ${formats.ms(load.max_ms)}`;
}
