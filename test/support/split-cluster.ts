import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

const SLOTS = 16_384;
const FIRST_PORT = 7000;

/** A server of the cluster: where pods reach it, and a client of the test's own. */
export interface SplitServer {
  readonly address: string;
  readonly client: Redis;
}

/**
 * A real Redis Cluster in two network namespaces: the first master in one, two masters and the replica of the first in the other. One
 * wire joins the namespaces, which carries the cluster bus and the replication; another wire leads from each namespace to the pods.
 */
export interface SplitCluster {
  readonly masters: readonly [SplitServer, SplitServer, SplitServer];
  /** Of the first master. */
  readonly replica: SplitServer;
  /** The namespace of the first master, and its address there. */
  readonly alone: Space;
  /** Cuts the wire between the namespaces. Every client port stays open. */
  cut(): void;
  /** Joins the namespaces again. */
  join(): void;
  stop(): Promise<void>;
}

/** Why this machine cannot make network namespaces; undefined where it can. */
export function whyNoNamespaces(): string | undefined {
  const name = `chat-try-${process.pid}`;
  try {
    ip('netns', 'add', name);
    ip('netns', 'delete', name);
    return undefined;
  } catch (error) {
    return `network namespaces need CAP_NET_ADMIN, CAP_SYS_ADMIN and iproute2: ${String(error)}`;
  }
}

/**
 * @param nodeTimeoutMs after so long without an answer a server is taken for dead
 * @param aloneTimeoutMs the same for the first master, which notices later that it is alone where this is more
 */
export async function startSplitCluster(nodeTimeoutMs: number, aloneTimeoutMs: number): Promise<SplitCluster> {
  const network = new Network();
  const { alone, many } = network;
  const dir = await mkdtemp(join(tmpdir(), 'chat-api-split-'));
  const processes: ChildProcess[] = [];
  const clients: Redis[] = [];
  const start = async (space: Space, port: number): Promise<SplitServer> => {
    const args = [
      ...['--port', String(port), '--bind', space.address, '127.0.0.1', '--protected-mode', 'no', '--dir', dir],
      ...['--save', '', '--appendonly', 'no', '--repl-diskless-sync-delay', '0'],
      ...['--cluster-enabled', 'yes', '--cluster-config-file', `nodes-${space.name}-${port}.conf`],
      ...[
        '--cluster-announce-ip',
        space.address,
        '--cluster-node-timeout',
        String(space === alone ? aloneTimeoutMs : nodeTimeoutMs),
      ],
      ...['--cluster-replica-validity-factor', '0', '--cluster-allow-pubsubshard-when-down', 'yes'],
    ];
    const child = spawn('ip', ['netns', 'exec', space.name, 'redis-server', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    processes.push(child);
    await ready(child);
    const client = new Redis({ host: space.address, port, lazyConnect: true, retryStrategy: () => null });
    client.on('error', () => undefined);
    clients.push(client);
    return { address: `${space.address}:${port}`, client };
  };
  const stop = async () => {
    for (const client of clients) client.disconnect();
    await Promise.all(processes.map(kill));
    network.remove();
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const masters = [await start(alone, FIRST_PORT), await start(many, FIRST_PORT), await start(many, FIRST_PORT + 1)] as const;
    const replica = await start(many, FIRST_PORT + 2);
    await form(masters, replica);
    return {
      masters,
      replica,
      alone,
      cut: () => {
        network.cut();
      },
      join: () => {
        network.join();
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Gives each master its share of the slots, and the first one its replica. */
async function form(masters: readonly SplitServer[], replica: SplitServer): Promise<void> {
  const all = [...masters, replica];
  const share = Math.ceil(SLOTS / masters.length);
  for (const [nth, { client }] of masters.entries()) {
    const last = Math.min((nth + 1) * share, SLOTS) - 1;
    await client.call('CLUSTER', 'ADDSLOTSRANGE', String(nth * share), String(last));
  }
  for (const [nth, { client }] of all.entries()) await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(nth + 1));
  const [first, ...others] = all;
  if (first === undefined) return;
  for (const { address } of others) await first.client.call('CLUSTER', 'MEET', ...address.split(':'));
  await Promise.all(all.map((server) => says(server, `cluster_known_nodes:${all.length}`)));
  await until(() => replica.client.call('CLUSTER', 'MYID').then(() => undefined));
  const id = String(await first.client.call('CLUSTER', 'MYID'));
  await until(() => replica.client.call('CLUSTER', 'REPLICATE', id));
  await Promise.all(all.map((server) => says(server, 'cluster_state:ok')));
  await until(async () => {
    if (!(await replica.client.info('replication')).includes('master_link_status:up')) throw new Error('not yet');
  });
}

/** Resolves when the server's CLUSTER INFO has that line. */
export async function says({ client }: SplitServer, line: string): Promise<void> {
  await until(async () => {
    if (!String(await client.call('CLUSTER', 'INFO')).includes(line)) throw new Error('not yet');
  });
}

/** Resolves when the server takes itself for a master. */
export async function isMaster({ client }: SplitServer): Promise<void> {
  await until(async () => {
    const [role] = (await client.call('ROLE')) as [string];
    if (role !== 'master') throw new Error('not yet');
  });
}

/** Tries until it succeeds: a server does not tell. */
async function until(act: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await act();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

export interface Space {
  readonly name: string;
  /** Of its servers. */
  readonly address: string;
}

/** Two namespaces with a wire from each to this one, and a wire between them. */
class Network {
  readonly alone: Space;
  readonly many: Space;
  readonly #net = `10.219.${process.pid % 250}`;

  constructor() {
    this.alone = { name: `chat-a-${process.pid}`, address: `${this.#net}.10` };
    this.many = { name: `chat-b-${process.pid}`, address: `${this.#net}.20` };
    this.remove();
    try {
      for (const { name, address } of [this.alone, this.many]) {
        ip('netns', 'add', name);
        ip('-n', name, 'link', 'set', 'lo', 'up');
        ip('-n', name, 'address', 'add', `${address}/32`, 'dev', 'lo');
      }
      this.#wireHome(this.alone, 1, 2);
      this.#wireHome(this.many, 5, 6);
      ip('-n', this.alone.name, 'link', 'add', 'bus', 'type', 'veth', 'peer', 'name', 'bus', 'netns', this.many.name);
      ip('-n', this.alone.name, 'address', 'add', `${this.#net}.33/30`, 'dev', 'bus');
      ip('-n', this.many.name, 'address', 'add', `${this.#net}.34/30`, 'dev', 'bus');
      ip('-n', this.many.name, 'link', 'set', 'bus', 'up');
      this.join();
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  cut(): void {
    ip('-n', this.alone.name, 'link', 'set', 'bus', 'down');
  }

  join(): void {
    ip('-n', this.alone.name, 'link', 'set', 'bus', 'up');
    const { alone, many } = this;
    ip('-n', alone.name, 'route', 'replace', many.address, 'via', `${this.#net}.34`, 'dev', 'bus', 'src', alone.address);
    ip('-n', many.name, 'route', 'replace', alone.address, 'via', `${this.#net}.33`, 'dev', 'bus', 'src', many.address);
  }

  remove(): void {
    for (const { name } of [this.alone, this.many]) {
      try {
        // Nothing but what the test started is in there.
        for (const pid of ip('netns', 'pids', name).split('\n')) if (pid !== '') process.kill(Number(pid), 'SIGKILL');
        ip('netns', 'delete', name);
      } catch {
        // It was not there.
      }
    }
    for (const here of [1, 5]) {
      try {
        // A wire ends with its namespace, but some time later.
        ip('link', 'delete', this.#deviceOf(here));
      } catch {
        // It has ended.
      }
    }
  }

  #deviceOf(here: number): string {
    return `chat${process.pid % 1_000_000}-${here}`;
  }

  #wireHome({ name, address }: Space, here: number, there: number): void {
    const device = this.#deviceOf(here);
    ip('link', 'add', device, 'type', 'veth', 'peer', 'name', 'home', 'netns', name);
    ip('address', 'add', `${this.#net}.${here}/30`, 'dev', device);
    ip('link', 'set', device, 'up');
    ip('-n', name, 'address', 'add', `${this.#net}.${there}/30`, 'dev', 'home');
    ip('-n', name, 'link', 'set', 'home', 'up');
    ip('route', 'add', address, 'via', `${this.#net}.${there}`, 'dev', device);
  }
}

function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
}

async function ready(child: ChildProcess): Promise<void> {
  let log = '';
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => {
      reject(new Error(`redis-server ended: ${log}`));
    });
    child.stdout?.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-10_000);
      if (log.includes('Ready to accept connections')) resolve();
    });
  });
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
