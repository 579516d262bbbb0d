import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { kill, logged, retry } from './redis.js';
import { formCluster, type ClusterServer } from './redis-cluster.js';

const FIRST_PORT = 7000;

/**
 * A real Redis Cluster in two network namespaces: the first master in one, two masters and a replica of the first in the other. A veth
 * pair connects the namespaces, for the cluster bus and replication. Another connects each namespace to the pods.
 */
export interface SplitCluster {
  readonly masters: readonly [ClusterServer, ClusterServer, ClusterServer];
  /** The replica of the first master. */
  readonly replica: ClusterServer;
  /** The namespace of the first master. */
  readonly alone: Space;
  /** Cuts the connection between the namespaces. Every client port stays reachable. */
  cut(): void;
  /** Connects the namespaces again. */
  join(): void;
  stop(): Promise<void>;
}

/** Why this machine cannot make network namespaces; undefined if it can. */
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
 * @param nodeTimeoutMs a server that does not answer for this long is taken to have failed
 * @param aloneTimeoutMs the same for the first master, which notices later that it is alone if this is more
 */
export async function startSplitCluster(nodeTimeoutMs: number, aloneTimeoutMs: number): Promise<SplitCluster> {
  const network = new Network();
  const { alone, many } = network;
  const dir = await mkdtemp(join(tmpdir(), 'chat-api-split-'));
  const processes: ChildProcess[] = [];
  const clients: Redis[] = [];
  const start = async (space: Space, port: number): Promise<ClusterServer> => {
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
    await logged(child, 'Ready to accept connections');
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
    await formCluster(masters, [replica]);
    await retry(async () => {
      if (!(await replica.client.info('replication')).includes('master_link_status:up')) throw new Error('not yet');
    });
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

/** Resolves when the server is a master by its own ROLE. */
export async function isMaster({ client }: ClusterServer): Promise<void> {
  await retry(async () => {
    const [role] = (await client.call('ROLE')) as [string];
    if (role !== 'master') throw new Error('not yet');
  });
}

export interface Space {
  readonly name: string;
  /** The IP address of its servers. */
  readonly address: string;
}

/** Two namespaces, each connected to this one, and connected to each other. */
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
        // Only processes of the test run in the namespace.
        for (const pid of ip('netns', 'pids', name).split('\n')) if (pid !== '') process.kill(Number(pid), 'SIGKILL');
        ip('netns', 'delete', name);
      } catch {
        // It does not exist.
      }
    }
    for (const here of [1, 5]) {
      try {
        // A veth pair is deleted with its namespace, but some time later.
        ip('link', 'delete', this.#deviceOf(here));
      } catch {
        // It is deleted already.
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
