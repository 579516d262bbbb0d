import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Which core serves and which makes the load; undefined where there is no taskset or no second core. */
export const pinning = choosePinning();

/** Files that one process may have open: a bound on the connections of a server, and of a load generator. */
export const maxOpenFiles = readMaxOpenFiles();

const SPARE_FILES = 200;

/** So many connections, or as many as one process may hold here. */
export function atMostOpen(connections) {
  return Math.min(connections, maxOpenFiles - SPARE_FILES);
}

/** What the page says of the machine. */
export function describeMachine() {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release()}, ${os.machine()}`,
    maxOpenFiles,
    ...(pinning && { pinning }),
  };
}

/** The versions of everything that is measured or measures. */
export function versions() {
  return {
    node: process.versions.node,
    redis: /v=(\S+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown',
    service: installed('node_modules', ['ws', 'ioredis', 'rxjs']),
    peers: installed('bench/node_modules', ['ws', 'ioredis', 'rxjs', 'socket.io', '@socket.io/redis-adapter']),
    compiler: execFileSync('cc', ['--version'], { encoding: 'utf8' }).split('\n')[0],
  };
}

/** The commit that is measured, and whether the sources differ from it. */
export function commit() {
  const git = (...args) => spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' }).stdout?.trim() ?? '';
  const id = git('rev-parse', '--short=10', 'HEAD');
  if (id === '') return 'unknown';
  return git('status', '--porcelain', '--', 'src', 'package-lock.json') === '' ? id : `${id}, with changes`;
}

function installed(folder, names) {
  const version = (name) => JSON.parse(readFileSync(`${ROOT}/${folder}/${name}/package.json`, 'utf8')).version;
  return Object.fromEntries(names.map((name) => [name, version(name)]));
}

function choosePinning() {
  if (spawnSync('taskset', ['--version']).status !== 0) return undefined;
  const [server, load] = allowedCores();
  return load === undefined ? undefined : { server, load };
}

/** The cores that this process may use, from the kernel's list such as `0-3,6`. */
function allowedCores() {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => String(first + i));
  });
}

function readMaxOpenFiles() {
  // Node has raised its own limit as far as it goes, and what it starts inherits that.
  const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return soft === undefined ? Infinity : Number(soft);
}
