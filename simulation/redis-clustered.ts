import { SLOT_COUNT, slotOf } from '../src/redis/cluster/slots.js';
import { Lane, Pipe } from './network.js';
import { RedisDeployment, type DeploymentOptions } from './redis-deployment.js';
import { RedisServer, type Answer } from './redis-server.js';

const PORT = 6379;
const SHARDS = [0, 1, 2] as const;
const SHARE = Math.ceil(SLOT_COUNT / SHARDS.length);

/** Those who are not concerned hear of a change within this. */
const GOSSIP_MS = 1000;

/** A server that is not heard for so long is taken for dead. */
const NODE_TIMEOUT_MS = 2000;
/** An election takes so much longer. */
const ELECTION_MS = 1500;
/** Servers notice what they have lost one after the other: by that much later a server knows that it has no majority. */
const NOTICE_MS = 3000;

/** Who is the master of each shard, since which epoch, and which slots are not where they were at first. */
interface Table {
  readonly masters: readonly RedisServer[];
  /** Of each shard. */
  readonly epochs: readonly number[];
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
  /** The master that has no contact with the others. */
  #cut: RedisServer | undefined;
  /** It has noticed. */
  #isNoticed = false;

  constructor(options: DeploymentOptions) {
    super(options);
    const { timeline } = options;
    this.#pairs = SHARDS.map((shard) => [
      new RedisServer(`m${shard}`, this, timeline),
      new RedisServer(`r${shard}`, this, timeline),
    ]);
    this.servers = this.#pairs.flat();
    this.#table = { masters: this.#pairs.map(([master]) => master), epochs: SHARDS.map((shard) => shard + 1), moved: new Map() };
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
    return this.#table.masters[this.options.random.integer(0, SHARDS.length - 1)] ?? this.ownerOf('');
  }

  failOver(dead: RedisServer): void {
    const replica = this.#replicaFor(dead);
    if (replica) this.#change(promoted(this.#table, dead, replica), [replica]);
    this.restart(dead);
  }

  /** Who comes back takes no part before it has heard. */
  override restart(server: RedisServer): void {
    server.start();
    if (server !== this.#cut) this.#notifySubscribers(server);
  }

  demote(master: RedisServer): void {
    const replica = this.#replicaFor(master);
    if (replica && master !== this.#cut) this.#change(promoted(this.#table, master, replica), [replica, master]);
  }

  /**
   * The master goes on with what it knows. The others promote its replica, before or after it notices that it is alone; and it takes
   * publishes even then (`cluster-allow-pubsubshard-when-down`).
   */
  override cutBus(master: RedisServer): () => void {
    const { timeline, random } = this.options;
    if (this.#cut !== undefined || !master.isUp) return () => undefined;
    this.#cut = master;
    const election = timeline.schedule(
      () => {
        const replica = this.#replicaFor(master);
        if (replica) this.#change(promoted(this.#table, master, replica), [replica]);
      },
      NODE_TIMEOUT_MS + random.integer(0, ELECTION_MS),
    );
    const noticing = timeline.schedule(
      () => {
        this.#isNoticed = true;
      },
      NODE_TIMEOUT_MS + random.integer(0, NOTICE_MS),
    );
    return () => {
      election.unsubscribe();
      noticing.unsubscribe();
      this.#cut = undefined;
      this.#isNoticed = false;
      timeline.schedule(
        () => {
          master.serve(() => {
            if (master !== this.#cut) this.#notifySubscribers(master);
          });
        },
        random.integer(0, GOSSIP_MS),
      );
    };
  }

  override moveSlot(channel: string): void {
    const { random } = this.options;
    const slot = slotOf(channel);
    const from = this.#table.masters.indexOf(this.ownerOf(channel));
    const to = (from + random.integer(1, SHARDS.length - 1)) % SHARDS.length;
    const source = this.ownerOf(channel);
    const moved = new Map(this.#table.moved).set(slot, to);
    const target = this.#table.masters[to];
    if (target?.isUp !== true || !source.isUp || target === this.#cut || source === this.#cut) return;
    this.#change({ ...this.#table, moved, epochs: raised(this.#table.epochs, to) }, [target, source]);
  }

  roleOf(server: RedisServer): 'master' | 'slave' {
    return this.#tableOf(server).masters.includes(server) ? 'master' : 'slave';
  }

  override refusal(server: RedisServer, channels: readonly string[]): string | undefined {
    const slots = new Set(channels.map(slotOf));
    if (slots.size > 1) return "CROSSSLOT Keys in request don't hash to the same slot";
    const [slot = 0] = slots;
    const owner = ownerIn(this.#tableOf(server), slot);
    return owner === server ? undefined : `MOVED ${slot} ${owner.name}:${PORT}`;
  }

  asked(server: RedisServer, command: string): Answer {
    switch (command) {
      case 'CLUSTER SLOTS':
        return { ok: rangesOf(this.#tableOf(server)).map(([first, last, { name }]) => [first, last, [name, PORT, name, []]]) };
      case 'CLUSTER NODES':
        return { ok: this.servers.map((one) => this.#nodeLine(server, one)).join('\n') };
      case 'CLUSTER INFO':
        return { ok: this.#info(server) };
      default:
        return { refused: `ERR unknown command '${command}'` };
    }
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

  /** What a server says of another one, or of itself. */
  #nodeLine(server: RedisServer, one: RedisServer): string {
    const table = this.#tableOf(server);
    const shard = this.#pairs.findIndex((pair) => pair.includes(one));
    const master = table.masters[shard];
    const isMaster = one === master;
    const flags = [
      ...(one === server ? ['myself'] : []),
      isMaster ? 'master' : 'slave',
      ...(one !== server && this.#takesForDead(server, one) ? ['fail?'] : []),
    ];
    const slots = rangesOf(table).filter(([, , owner]) => owner === one);
    const epoch = table.epochs[shard] ?? 0;
    return [
      `${one.name} ${one.name}:${PORT}@1${PORT} ${flags.join()} ${isMaster ? '-' : (master?.name ?? '-')} 0 0 ${epoch} connected`,
      ...slots.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)),
    ].join(' ');
  }

  #takesForDead(server: RedisServer, other: RedisServer): boolean {
    return !other.isUp || (this.#isNoticed && (server === this.#cut || other === this.#cut));
  }

  #info(server: RedisServer): string {
    const isAlone = server === this.#cut && this.#isNoticed;
    const failed = isAlone ? 0 : this.#tableOf(server).masters.filter((master) => this.#takesForDead(server, master)).length;
    return [
      `cluster_state:${isAlone || failed > 0 ? 'fail' : 'ok'}`,
      `cluster_slots_assigned:${SLOT_COUNT}`,
      `cluster_slots_fail:${failed * SHARE}`,
      '',
    ].join('\r\n');
  }

  #tableOf(server: RedisServer): Table {
    return this.#heard.get(server) ?? this.#table;
  }

  /** @param known who hear of it at once: it is their doing */
  #change(table: Table, known: readonly RedisServer[]): void {
    const { timeline, random } = this.options;
    this.#table = table;
    for (const server of known) this.#notifySubscribers(server);
    for (const server of this.servers) {
      if (known.includes(server)) continue;
      timeline.schedule(
        () => {
          server.serve(() => {
            if (server !== this.#cut) this.#notifySubscribers(server);
          });
        },
        random.integer(0, GOSSIP_MS),
      );
    }
  }

  /** Subscribers to what it has lost are told so. */
  #notifySubscribers(server: RedisServer): void {
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

/** The replica takes the master's place, in an epoch of its own. */
function promoted(table: Table, master: RedisServer, replica: RedisServer): Table {
  const { masters, epochs } = table;
  return { ...table, masters: replaced(masters, master, replica), epochs: raised(epochs, masters.indexOf(master)) };
}

/** One shard's epoch becomes the greatest. */
function raised(epochs: readonly number[], shard: number): readonly number[] {
  return epochs.map((epoch, nth) => (nth === shard ? Math.max(...epochs) + 1 : epoch));
}

/** Which ranges of slots are whose. */
function rangesOf(table: Table): readonly (readonly [first: number, last: number, owner: RedisServer])[] {
  const starts = new Set([
    0,
    ...SHARDS.map((shard) => shard * SHARE),
    ...[...table.moved.keys()].flatMap((slot) => [slot, slot + 1]),
  ]);
  const sorted = [...starts].filter((slot) => slot < SLOT_COUNT).sort((a, b) => a - b);
  return sorted.map((first, at) => [first, (sorted[at + 1] ?? SLOT_COUNT) - 1, ownerIn(table, first)]);
}
