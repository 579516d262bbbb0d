import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

/** A real redis-server for one test, on a free port, without persistence. */
export interface TestRedis {
  readonly port: number;
  readonly url: string;
  readonly process: ChildProcess;
  /** A client of the server; `stop` closes it. */
  readonly client: Redis;
  stop(): Promise<void>;
}

export interface TestRedisOptions {
  /** The password of the default user; none if absent. */
  readonly password?: string;
  /** The certificate authority's file, if the server uses TLS. */
  readonly ca?: string;
  /** The lines of sentinel.conf, if it is a sentinel. */
  readonly sentinel?: readonly string[];
}

/** @param port a free one if absent */
export async function startRedis(
  port?: number,
  args: readonly string[] = [],
  { password = '', ca, sentinel }: TestRedisOptions = {},
): Promise<TestRedis> {
  const at = port ?? (await freePort());
  const dir = await mkdtemp(join(tmpdir(), 'chat-api-redis-'));
  const common = ['--port', String(at), '--bind', '127.0.0.1', '--dir', dir];
  const file = join(dir, 'sentinel.conf');
  if (sentinel) await writeFile(file, sentinel.join('\n'));
  const kind = sentinel ? [file, '--sentinel'] : ['--save', '', '--appendonly', 'no', '--requirepass', password];
  const process = spawn('redis-server', [...kind, ...common, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  await logged(process, sentinel ? 'Sentinel ID is' : 'Ready to accept connections');
  const url = `${ca === undefined ? 'redis' : 'rediss'}://${password && `:${password}@`}127.0.0.1:${at}`;
  const tls = ca === undefined ? {} : { tls: { ca: await readFile(ca) } };
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, ...tls });
  client.on('error', () => undefined);
  const stop = async () => {
    client.disconnect();
    await kill(process);
    await rm(dir, { recursive: true, force: true });
  };
  return { port: at, url, process, client, stop };
}

/**
 * ACL rules without access to a room's channel. Redis has no rule for all channels but one, so there is none to rooms with the same
 * first letter either.
 *
 * @param prefix the channel prefix of the pod
 */
export function channelsBut(room: string, prefix: string): readonly string[] {
  const others = `[^${room.charAt(0)}]*`;
  return ['resetchannels', `&${prefix}:${others}`, `&${prefix}:room:${others}`];
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves when a server has written a text to its log. */
export async function logged(process: ChildProcess, text: string): Promise<void> {
  const { stdout } = process;
  if (stdout === null) throw new Error('stdout is not piped');
  let log = '';
  await new Promise<void>((resolve, reject) => {
    process.once('error', reject);
    process.once('exit', () => {
      reject(new Error(`redis-server ended: ${log}`));
    });
    stdout.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-10_000);
      if (log.includes(text)) resolve();
    });
  });
}

/** Kills a server, and resolves when it has ended. */
export async function kill(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const exited = once(process, 'exit');
  process.kill('SIGKILL');
  await exited;
}

/** Repeats until it succeeds. */
export async function retry(act: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await act();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
