import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { pinning } from './machine.mjs';

/** What a process wrote last is kept, to be shown where it fails. */
const KEPT_CHARACTERS = 4000;

/** In which /proc/stat counts: the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

const running = new Set();

// However the benchmark ends, nothing of it goes on.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143 })) process.on(signal, () => process.exit(code));

/**
 * Starts a process, on the core of its role where cores can be chosen.
 *
 * @param {'server' | 'load'} role
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} options
 * @returns the child; `child.said()` is the end of what it wrote
 */
export function startProcess(role, command, args, options = {}) {
  const core = pinning?.[role];
  const [file, ...rest] = core === undefined ? [command, ...args] : ['taskset', '-c', core, command, ...args];
  const child = spawn(file, rest, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  running.add(child);
  child.once('exit', () => running.delete(child));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      said = (said + chunk).slice(-KEPT_CHARACTERS);
    });
  }
  return Object.assign(child, { said: () => said.trim() });
}

/** Ends a process at once: there is nothing in it to be saved. */
export async function stopProcess(child) {
  if (hasEnded(child)) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

export function hasEnded(child) {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Puts this process itself beside the load, out of the server's way. */
export function pinThisProcess() {
  if (pinning) spawnSync('taskset', ['-a', '-c', '-p', pinning.load, String(process.pid)]);
}

/** CPU time that a process has used so far, all its threads, in seconds; exact to the nanosecond where the kernel tells. */
export function cpuSeconds(pid) {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).reduce(
    (sum, task) => sum + Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e9,
    0,
  );
}

/** CPU time that everything on the machine has used so far, on all its cores, in seconds. */
export function allCpuSeconds() {
  const [user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'utf8')
    .split('\n')[0]
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND;
}

/** Files that a process has open, its connections among them. */
export function openFiles(pid) {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** @returns {Promise<number>} a port that nobody has */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
