import type { Facts } from './facts.js';
import { RedisServer } from './redis-server.js';
import { Lane, Pipe } from './network.js';
import type { Timeline } from '../virtual-scheduler.js';

/** What a server took to be published. */
export interface Accepted {
  readonly id: string;
  readonly type: string;
  readonly from: string;
  readonly atMs: number;
  /** The time that its envelope bears. */
  readonly publishedMs: number;
  /** It is valid, and was published at the master: every member of its room shall have it. */
  readonly counts: boolean;
}

/** A master, a replica that hears what is published at the master, and the record of all that was published. */
export class RedisDeployment {
  readonly servers: readonly [RedisServer, RedisServer];
  /** What was accepted, by channel, in the one order that there is. */
  readonly log = new Map<string, Accepted[]>();
  readonly #facts: Facts;
  readonly #timeline: Timeline;
  readonly #replication: Pipe;
  /** Where an envelope stands, by channel and id. */
  readonly #positions = new Map<string, Map<string, number>>();
  #master = 0;

  constructor(timeline: Timeline, facts: Facts) {
    this.#facts = facts;
    this.#timeline = timeline;
    const host = {
      isMaster: (server: RedisServer) => server === this.master,
      published: (server: RedisServer, channel: string, payload: string) => {
        this.#published(server, channel, payload);
      },
    };
    this.servers = [new RedisServer('a', host, timeline), new RedisServer('b', host, timeline)];
    this.#replication = new Pipe(new Lane(() => 1), timeline);
  }

  /** The one that the deployment's address leads to. */
  get master(): RedisServer {
    return this.servers[this.#master] ?? this.servers[0];
  }

  get replica(): RedisServer {
    return this.servers[1 - this.#master] ?? this.servers[1];
  }

  /** The replica becomes the master, and the master, where it lives, the replica. */
  promote(): void {
    this.#master = 1 - this.#master;
  }

  /** Where an envelope stands in its channel's log; undefined for one that was never published there. */
  position(channel: string, id: string): number | undefined {
    return this.#positions.get(channel)?.get(id);
  }

  #published(server: RedisServer, channel: string, payload: string): void {
    const isMaster = server === this.master;
    const position = this.#record(channel, payload, isMaster);
    server.spread(channel, payload, position);
    if (!isMaster) return;
    const { replica } = this;
    this.#replication.send(() => {
      replica.serve(() => {
        replica.spread(channel, payload, position);
      });
    });
  }

  #record(channel: string, payload: string, isMaster: boolean): number | undefined {
    const { id, type, from, timestamp } = readEnvelope(payload);
    if (id === undefined) return undefined;
    const log = this.log.get(channel) ?? [];
    const positions = this.#positions.get(channel) ?? new Map<string, number>();
    this.log.set(channel, log);
    this.#positions.set(channel, positions);
    const position = log.length;
    const atMs = this.#timeline.now();
    const accepted = { id, type: type ?? '', from: from ?? '', atMs, publishedMs: Date.parse(timestamp ?? ''), counts: isMaster };
    log.push(accepted);
    positions.set(id, position);
    this.#facts.tell({ kind: 'accepted', channel, position, accepted });
    return position;
  }
}

/** Members that are no text, or a payload that is no object, are nothing that a room shall hear. */
function readEnvelope(payload: string): Partial<Record<'id' | 'type' | 'from' | 'timestamp', string>> {
  try {
    return JSON.parse(payload) as Partial<Record<'id' | 'type' | 'from' | 'timestamp', string>>;
  } catch {
    return {};
  }
}
