import type { DeploymentOptions } from './redis-deployment.js';
import { RedisPair } from './redis-pair.js';
import { RedisServer, type Answer } from './redis-server.js';

const SENTINELS = ['s1', 's2', 's3'] as const;
const PORT = 6379;

/** Sentinels tell each other who the master is; within this all of them know. */
const HEARSAY_MS = 1000;
/** A server that was replaced and lives is told so within this. */
const RECONFIGURED_MS = 3000;
/** One that comes back later takes itself for the master until the sentinels have seen that it does. */
const CONVERTED_MS = 9000;

/** A master and its replica, each with an address of its own, and sentinels who know which is which. */
export class RedisWatched extends RedisPair {
  override readonly environment = {
    REDIS_URL: 'redis://unused',
    REDIS_SENTINELS: SENTINELS.map((name) => `${name}:${PORT}`).join(),
    REDIS_SENTINEL_NAME: 'primary',
  };
  override readonly servers: readonly RedisServer[];
  readonly #sentinels: readonly RedisServer[];
  /** Whom each sentinel calls the master. */
  readonly #believed = new Map<RedisServer, RedisServer>();
  /** Replicas, as they know it themselves. */
  readonly #replicas = new Set<RedisServer>();

  constructor(options: DeploymentOptions) {
    super(options);
    this.#sentinels = SENTINELS.map((name) => new RedisServer(name, this, options.timeline));
    this.servers = [...this.pair, ...this.#sentinels];
    for (const sentinel of this.#sentinels) this.#believed.set(sentinel, this.master);
    this.#replicas.add(this.other(this.master));
  }

  override at(host: string): RedisServer {
    const found = this.servers.find(({ name }) => `${name}:${PORT}` === host);
    if (found === undefined) throw new Error(`there is no server at ${host}`);
    return found;
  }

  override failOver(dead: RedisServer): void {
    if (dead === this.master && this.#hasReplica) this.#replace(CONVERTED_MS);
    dead.start();
  }

  override demote(master: RedisServer): void {
    if (master === this.master && this.#hasReplica) this.#replace(RECONFIGURED_MS);
  }

  override silence(): () => void {
    const { random } = this.options;
    const silent = random.happens(0.5) ? this.#sentinels : this.#sentinels.filter(() => random.happens(0.5));
    for (const sentinel of silent) sentinel.die(random.happens(0.5));
    return () => {
      for (const sentinel of silent) {
        sentinel.start();
        this.#believed.set(sentinel, this.master);
      }
    };
  }

  override roleOf(server: RedisServer): 'master' | 'slave' {
    return this.#replicas.has(server) ? 'slave' : 'master';
  }

  override asked(server: RedisServer, command: string): Answer {
    const believed = this.#believed.get(server);
    if (believed === undefined || !command.startsWith('SENTINEL GET-MASTER-ADDR-BY-NAME')) return super.asked(server, command);
    return { ok: [believed.name, String(PORT)] };
  }

  protected override replicasOf(server: RedisServer): readonly RedisServer[] {
    const other = this.other(server);
    return server === this.master && this.#replicas.has(other) ? [other] : [];
  }

  get #hasReplica(): boolean {
    const other = this.other(this.master);
    return other.isUp && this.#replicas.has(other);
  }

  /** The replica is promoted; the sentinels hear of it one after the other; and the old master is told in the end, and drops everybody. */
  #replace(toldWithinMs: number): void {
    const { timeline, random } = this.options;
    const old = this.master;
    this.promote();
    this.#replicas.delete(this.master);
    for (const [nth, sentinel] of this.#sentinels.entries()) {
      timeline.schedule(
        () => {
          sentinel.serve(() => this.#believed.set(sentinel, this.master));
        },
        nth === 0 ? 0 : random.integer(0, HEARSAY_MS),
      );
    }
    timeline.schedule(
      () => {
        if (old === this.master) return;
        this.#replicas.add(old);
        old.hangUpAll(false);
      },
      random.integer(0, toldWithinMs),
    );
  }
}
