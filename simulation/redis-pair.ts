import { Lane, Pipe } from './network.js';
import { RedisDeployment, type DeploymentOptions } from './redis-deployment.js';
import { RedisServer, type Answer } from './redis-server.js';

/** A master and its replica, behind one address that leads to whichever is the master. */
export class RedisPair extends RedisDeployment {
  readonly environment: Readonly<Record<string, string>> = {};
  readonly servers: readonly RedisServer[];
  protected readonly pair: readonly [RedisServer, RedisServer];
  /** The one that all pods should speak to. */
  protected master: RedisServer;
  readonly #replication: Pipe;

  constructor(options: DeploymentOptions) {
    super(options);
    this.pair = [new RedisServer('a', this, options.timeline), new RedisServer('b', this, options.timeline)];
    this.servers = this.pair;
    [this.master] = this.pair;
    this.#replication = new Pipe(new Lane(() => 1), options.timeline);
  }

  at(_host: string): RedisServer {
    return this.master;
  }

  ownerOf(_channel: string): RedisServer {
    return this.master;
  }

  victim(): RedisServer {
    return this.master;
  }

  failOver(dead: RedisServer): void {
    if (dead === this.master) this.promote();
    dead.start();
  }

  demote(master: RedisServer): void {
    if (master === this.master) this.promote();
  }

  roleOf(server: RedisServer): 'master' | 'slave' {
    return server === this.master ? 'master' : 'slave';
  }

  asked(_server: RedisServer, command: string): Answer {
    return { refused: `ERR unknown command '${command}'` };
  }

  protected other(server: RedisServer): RedisServer {
    const [a, b] = this.pair;
    return server === a ? b : a;
  }

  protected promote(): void {
    this.master = this.other(this.master);
  }

  protected replicasOf(server: RedisServer): readonly RedisServer[] {
    return server === this.master ? [this.other(server)] : [];
  }

  protected replicate(deliver: () => void): void {
    this.#replication.send(deliver);
  }
}
