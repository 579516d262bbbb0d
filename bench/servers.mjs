import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort, hasEnded, startProcess, stopProcess } from './processes.mjs';

const file = (path) => fileURLToPath(new URL(path, import.meta.url));

const READY_TIMEOUT_MS = 10_000;
/** After it says that it is ready: what a start leaves to be done. */
const SETTLE_MS = 300;

/**
 * What is compared. `path` has `%s` where the name of a room stands, `probe` is a request whose answer has the status `ready` as
 * soon as the server serves.
 */
export const SERVERS = {
  'chat-api': {
    title: 'chat-api',
    main: file('.build/dist/main.js'),
    env: { HOST: '127.0.0.1', PRESENCE_MAX_MEMBERS: '0', LOG_LEVEL: 'warn' },
    path: '/api/chat-api/ws/%s',
    probe: '/readyz',
    ready: 200,
  },
  bare: { title: 'bare ws', main: file('peers/bare-ws.mjs'), path: '/ws/%s', probe: '/', ready: 200 },
  filter: { title: 'filter per connection', main: file('peers/naive-rxjs.mjs'), path: '/ws/%s', probe: '/', ready: 200 },
  'socket.io': {
    title: 'Socket.IO',
    main: file('peers/socketio.mjs'),
    path: '/socket.io/?EIO=4&transport=websocket&room=%s',
    probe: '/socket.io/?EIO=4&transport=polling',
    // Long polling is off, which only a server that is up can say.
    ready: 400,
    loadMode: 'socketio',
  },
  'bare-pinging': { title: 'bare ws that pings', main: file('peers/bare-pinging.mjs'), path: '/ws/%s', probe: '/', ready: 200 },
};

/** Those that stand side by side, in the order of the tables. */
export const COMPARED = ['chat-api', 'bare', 'filter', 'socket.io'];

/**
 * Starts a server on the core of servers and resolves when it serves.
 *
 * @param {keyof typeof SERVERS} name
 * @param {{ redisUrl: string, env?: Record<string, string>, probeMemory?: boolean }} options
 */
export async function startServer(name, { redisUrl, env = {}, probeMemory = false }) {
  const server = SERVERS[name];
  const port = await freePort();
  const preload = probeMemory ? ['--expose-gc', '--import', file('memory-probe.mjs')] : [];
  const child = startProcess('server', process.execPath, [...preload, server.main], {
    env: { ...process.env, ...server.env, ...env, REDIS_URL: redisUrl, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe', ...(probeMemory ? ['ipc'] : [])],
  });
  const get = (path) => fetch(`http://127.0.0.1:${port}${path}`);
  await untilReady(child, server, get);
  await sleep(SETTLE_MS);
  return {
    name,
    port,
    pid: child.pid,
    /** What it wrote, where it ended by itself. */
    death: () => (hasEnded(child) ? child.said() || `exit code ${child.exitCode}` : undefined),
    /** The value of a line of its metrics, 0 where there is none. */
    metric: async (line) => readMetric(await (await get('/metrics')).text(), line),
    /** `process.memoryUsage()` after a collection; only with `probeMemory`. */
    memory: async () => {
      child.send('memory?');
      const [usage] = await once(child, 'message');
      return usage;
    },
    stop: () => stopProcess(child),
  };
}

async function untilReady(child, { title, probe, ready }, get) {
  const deadlineMs = Date.now() + READY_TIMEOUT_MS;
  for (;;) {
    const status = await get(probe).then(
      async (response) => (await response.arrayBuffer(), response.status),
      () => undefined,
    );
    if (status === ready) return;
    if (hasEnded(child) || Date.now() > deadlineMs) throw new Error(`${title} does not serve: ${child.said()}`);
    await sleep(20);
  }
}

function readMetric(text, line) {
  const found = text.split('\n').find((candidate) => candidate.startsWith(`${line} `));
  return found === undefined ? 0 : Number(found.slice(line.length + 1));
}
