import { SLOTS, slotOf } from '../../redis/slots.js';
import { Lane, Pipe } from './network.js';
import { RedisDeployment, type DeploymentOptions } from './redis-deployment.js';
import { RedisServer, type Answer } from './redis-server.js';

const PORT = 6379;
const SHARDS = [0, 1, 2] as const;
const SHARE = Math.ceil(SLOTS / SHARDS.length);

/** Those who are not concerned hear of a change within this. */
const GOSSIP_MS = 1000;

/** Who is the master of each shard, and which slots are not where they were at first. */
interface Table {
  readonly masters: readonly RedisServer[];
  readonly moved: ReadonlyMap<number, number>;
}

/** Three masters with a replica each, and slots that move. */
export class RedisClustered extends RedisDeployment {
  readonly environment = { REDIS_URL: 'redis://unused', REDIS_CLUSTER_NODES: SHARDS.map((shard) => `m${shard}:${PORT}`).join() };
  readonly servers: readonly RedisServer[];
  /** Two for each shard. */
  readonly #pairs: readonly (readonly [RedisServer, RedisServer])[];
  #table: Table;
  /** What each server has heard. */
  readonly #heard = new Map<RedisServer, Table>();
  readonly #replication: Pipe;

  constructor(options: DeploymentOptions) {
    super(options);
    const { timeline } = options;
    this.#pairs = SHARDS.map((shard) => [
      new RedisServer(`m${shard}`, this, timeline),
      new RedisServer(`r${shard}`, this, timeline),
    ]);
    this.servers = this.#pairs.flat();
    this.#table = { masters: this.#pairs.map(([master]) => master), moved: new Map() };
    for (const server of this.servers) this.#heard.set(server, this.#table);
    this.#replication = new Pipe(new Lane(() => 1), timeline);
  }

  at(host: string): RedisServer {
    const found = this.servers.find(({ name }) => `${name}:${PORT}` === host);
    if (found === undefined) throw new Error(`there is no server at ${host}`);
    return found;
  }

  ownerOf(channel: string): RedisServer {
    return ownerIn(this.#table, slotOf(channel));
  }

  victim(): RedisServer {
    return this.#table.masters[this.options.chance.integer(0, SHARDS.length - 1)] ?? this.ownerOf('');
  }

  failOver(dead: RedisServer): void {
    const replica = this.#replicaFor(dead);
    if (replica) this.#change({ ...this.#table, masters: replaced(this.#table.masters, dead, replica) }, [replica]);
    this.restart(dead);
  }

  /** Who comes back takes no part before it has heard. */
  override restart(server: RedisServer): void {
    server.start();
    this.#hear(server);
  }

  demote(master: RedisServer): void {
    const replica = this.#replicaFor(master);
    if (replica) this.#change({ ...this.#table, masters: replaced(this.#table.masters, master, replica) }, [replica, master]);
  }

  override moveSlot(channel: string): void {
    const { chance } = this.options;
    const slot = slotOf(channel);
    const from = this.#table.masters.indexOf(this.ownerOf(channel));
    const to = (from + chance.integer(1, SHARDS.length - 1)) % SHARDS.length;
    const source = this.ownerOf(channel);
    const moved = new Map(this.#table.moved).set(slot, to);
    const target = this.#table.masters[to];
    if (target?.isUp && source.isUp) this.#change({ ...this.#table, moved }, [target, source]);
  }

  roleOf(server: RedisServer): 'master' | 'slave' {
    return this.#heardBy(server).masters.includes(server) ? 'master' : 'slave';
  }

  override refusal(server: RedisServer, channels: readonly string[]): string | undefined {
    const slots = new Set(channels.map(slotOf));
    if (slots.size > 1) return "CROSSSLOT Keys in request don't hash to the same slot";
    const [slot = 0] = slots;
    const owner = ownerIn(this.#heardBy(server), slot);
    return owner === server ? undefined : `MOVED ${slot} ${owner.name}:${PORT}`;
  }

  asked(server: RedisServer, command: string): Answer {
    if (command !== 'CLUSTER SLOTS') return { refused: `ERR unknown command '${command}'` };
    return { ok: rangesOf(this.#heardBy(server)) };
  }

  protected replicasOf(): readonly RedisServer[] {
    // Nobody listens there.
    return [];
  }

  protected replicate(deliver: () => void): void {
    this.#replication.send(deliver);
  }

  #replicaFor(master: RedisServer): RedisServer | undefined {
    const pair = this.#pairs.find((servers) => servers.includes(master));
    const other = pair?.find((server) => server !== master);
    return this.#table.masters.includes(master) && other?.isUp === true ? other : undefined;
  }

  #heardBy(server: RedisServer): Table {
    return this.#heard.get(server) ?? this.#table;
  }

  /** @param known who hear of it at once: it is their doing */
  #change(table: Table, known: readonly RedisServer[]): void {
    const { timeline, chance } = this.options;
    this.#table = table;
    for (const server of known) this.#hear(server);
    for (const server of this.servers) {
      if (known.includes(server)) continue;
      timeline.schedule(
        () => {
          server.serve(() => {
            this.#hear(server);
          });
        },
        chance.integer(0, GOSSIP_MS),
      );
    }
  }

  /** Subscribers to what it has lost are told so. */
  #hear(server: RedisServer): void {
    this.#heard.set(server, this.#table);
    server.dropForeign();
  }
}

function ownerIn({ masters, moved }: Table, slot: number): RedisServer {
  const owner = masters[moved.get(slot) ?? Math.floor(slot / SHARE)];
  if (owner === undefined) throw new Error(`slot ${slot} has no owner`);
  return owner;
}

function replaced(masters: readonly RedisServer[], one: RedisServer, other: RedisServer): readonly RedisServer[] {
  return masters.map((master) => (master === one ? other : master));
}

/** As CLUSTER SLOTS has it. */
function rangesOf(table: Table): readonly (readonly [number, number, readonly [string, number]])[] {
  const starts = new Set([
    0,
    ...SHARDS.map((shard) => shard * SHARE),
    ...[...table.moved.keys()].flatMap((slot) => [slot, slot + 1]),
  ]);
  const sorted = [...starts].filter((slot) => slot < SLOTS).sort((a, b) => a - b);
  return sorted.map((first, at) => [first, (sorted[at + 1] ?? SLOTS) - 1, [ownerIn(table, first).name, PORT]]);
}
