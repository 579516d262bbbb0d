import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

/** A real redis-server of a test's own, on a free port, without persistence. */
export interface TestRedis {
  readonly port: number;
  readonly url: string;
  readonly process: ChildProcess;
  /** A client of the test's own, which `stop` closes. */
  readonly client: Redis;
  stop(): Promise<void>;
}

export interface TestRedisOptions {
  /** What it asks for; nothing where absent. */
  readonly password?: string;
  /** The file of who vouches for it, where it takes TLS. */
  readonly ca?: string;
  /** Where it is a sentinel: what it is told to watch. */
  readonly sentinel?: readonly string[];
}

/** @param port where to start it; a free one where absent */
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
    if (process.exitCode === null && process.signalCode === null) {
      const exited = once(process, 'exit');
      process.kill('SIGKILL');
      await exited;
    }
    await rm(dir, { recursive: true, force: true });
  };
  return { port: at, url, process, client, stop };
}

/**
 * The rules of a Redis user who may not hear a room. Redis has no rule for all channels but one: neither may the user hear rooms that
 * begin with the same letter.
 *
 * @param prefix of the pod's channels
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

async function logged(process: ChildProcess, text: string): Promise<void> {
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
