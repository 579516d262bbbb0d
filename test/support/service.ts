import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** For a message that says more than Jest's: shorter than its timeout, and longer than a busy machine needs. */
const METRIC_TIMEOUT_MS = 300_000;

/** The built service as a process of its own. */
export interface Service {
  readonly process: ChildProcess;
  readonly port: number;
  /** Each line it logged, parsed; grows. */
  readonly logs: readonly Record<string, unknown>[];
  /** Resolves with the first log line that has this message, and a text in it where one is given, past or future. */
  logged(message: string, text?: RegExp): Promise<Record<string, unknown>>;
  /** A GET to its HTTP side. */
  get(path: string): Promise<Response>;
  /** The value of one metric line, `name` or `name{label="value"}`; 0 where there is none. */
  metric(line: string): Promise<number>;
  /** Resolves when the metric has the value: polls, for a scrape is all there is. */
  metricIs(line: string, value: number): Promise<void>;
  /** Sends the signal and resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Starts it on a free port, by default on the in-process broker, and resolves when it listens.
 *
 * @param main what to start instead of the built service
 * @param openFiles its limit of file descriptors; absent, that of this process
 */
export async function startService(
  environment: Readonly<Record<string, string>> = {},
  main = MAIN,
  openFiles = 'unchanged',
): Promise<Service> {
  const limit = openFiles === 'unchanged' ? ':' : `ulimit -n ${openFiles}`;
  const child = spawn('/bin/sh', ['-c', `${limit} && exec "$0" "$1"`, process.execPath, main], {
    env: { REDIS_URL: 'memory:', HOST: '127.0.0.1', PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const logs: Record<string, unknown>[] = [];
  const waiting = new Set<() => void>();
  createInterface(child.stdout).on('line', (line) => {
    logs.push(JSON.parse(line) as Record<string, unknown>);
    for (const look of waiting) look();
  });
  const logged = (message: string, text = /^/) =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
      const look = () => {
        const found = logs.find((line) => line['msg'] === message && text.test(JSON.stringify(line)));
        if (found === undefined) return;
        waiting.delete(look);
        child.off('exit', ended);
        resolve(found);
      };
      const ended = (code: number | null) => {
        reject(new Error(`the service ended with ${String(code)} before it logged "${message}"`));
      };
      waiting.add(look);
      child.once('exit', ended);
      look();
    });
  const port = Number((await logged('listening'))['port']);
  const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
  const metric = async (line: string) => {
    const text = await (await get('/metrics')).text();
    const found = text.split('\n').find((candidate) => candidate.startsWith(`${line} `));
    return found === undefined ? 0 : Number(found.slice(line.length + 1));
  };
  const metricIs = async (line: string, value: number) => {
    const deadlineMs = Date.now() + METRIC_TIMEOUT_MS;
    for (let now = await metric(line); now !== value; now = await metric(line)) {
      if (Date.now() > deadlineMs) throw new Error(`${line} is ${now}, not ${value}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const exited = once(child, 'exit');
    child.kill(signal);
    const [code] = (await exited) as [number | null];
    return code;
  };
  return { process: child, port, logs, logged, get, metric, metricIs, stop };
}

/** Runs it until it ends by itself. */
export async function runService(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}
