import type { SeededRandom } from './seeded-random.js';
import type { Accepted, Facts } from './facts.js';
import type { OutputBuffer } from './plan.js';
import type { Answer, RedisHost, RedisServer, Source } from './redis-server.js';
import type { Timeline } from '../src/testing/virtual-scheduler.js';

/** What all kinds of Redis are made with. */
export interface DeploymentOptions {
  readonly timeline: Timeline;
  readonly facts: Facts;
  /** For what takes now longer and now shorter. */
  readonly random: SeededRandom;
  readonly outputBuffer: OutputBuffer;
}

/** Servers, who of them is what, and the record of all that was published. */
export abstract class RedisDeployment implements RedisHost {
  abstract readonly servers: readonly RedisServer[];
  /** What pods are configured with, to find it. */
  abstract readonly environment: Readonly<Record<string, string>>;
  /** What was accepted, by channel, in the one order that there is. */
  readonly log = new Map<string, Accepted[]>();
  protected readonly options: DeploymentOptions;
  /** Where an envelope stands, by channel and id. */
  readonly #positions = new Map<string, Map<string, number>>();

  constructor(options: DeploymentOptions) {
    this.options = options;
  }

  get outputBuffer(): OutputBuffer {
    return this.options.outputBuffer;
  }

  /** The server that an address leads to at this moment. */
  abstract at(host: string): RedisServer;
  /** The one that all pods should speak to about a channel. */
  abstract ownerOf(channel: string): RedisServer;
  /** A master, for something to befall it. */
  abstract victim(): RedisServer;
  /** A master that died is given up for its replica, and comes back some time. */
  abstract failOver(dead: RedisServer): void;
  /** A master that lives changes places with its replica. */
  abstract demote(master: RedisServer): void;
  abstract roleOf(server: RedisServer): 'master' | 'slave';
  abstract asked(server: RedisServer, command: string): Answer;
  protected abstract replicasOf(server: RedisServer): readonly RedisServer[];
  /** What is published at a server, to its replicas. */
  protected abstract replicate(deliver: () => void): void;

  /** A server that died comes back as what it was. */
  restart(server: RedisServer): void {
    server.start();
  }

  /** A slot moves, where there are any. */
  moveSlot(_channel: string): void {
    // There are none.
  }

  /** A master of a cluster loses contact with the other servers, and clients reach it as ever; returns what ends that. */
  cutBus(_master: RedisServer): () => void {
    return () => undefined;
  }

  /** Those who know the master fall silent, where there are any; returns what ends that. */
  silence(): () => void {
    return () => undefined;
  }

  refusal(_server: RedisServer, _channels: readonly string[]): string | undefined {
    return undefined;
  }

  /** Where an envelope stands in its channel's log; undefined for one that was never published there. */
  position(channel: string, id: string): number | undefined {
    return this.#positions.get(channel)?.get(id);
  }

  published(server: RedisServer, channel: string, payload: string, source: Source): void {
    const position = this.#record(channel, payload, server === this.ownerOf(channel), source);
    const message = { channel, payload, position, source };
    server.spread(message);
    for (const replica of this.replicasOf(server)) {
      this.replicate(() => {
        replica.serve(() => {
          replica.spread(message);
        });
      });
    }
  }

  #record(channel: string, payload: string, counts: boolean, { sentMs }: Source): number | undefined {
    const { id, type, from, timestamp, data } = readEnvelope(payload);
    if (id === undefined) return undefined;
    const log = this.log.get(channel) ?? [];
    const positions = this.#positions.get(channel) ?? new Map<string, number>();
    this.log.set(channel, log);
    this.#positions.set(channel, positions);
    const position = log.length;
    const atMs = this.options.timeline.now();
    const presence = type === 'presence' ? data : undefined;
    const bears = { id, type: type ?? '', from: from ?? '', timestampMs: Date.parse(timestamp ?? '') };
    const accepted = { ...bears, atMs, publishedMs: sentMs, counts, presence };
    log.push(accepted);
    positions.set(id, position);
    this.options.facts.record({ kind: 'accepted', channel, position, accepted });
    return position;
  }
}

/** Members that are no text, or a payload that is no object, are nothing that a room shall hear. */
function readEnvelope(payload: string): Partial<ReadEnvelope> {
  try {
    return JSON.parse(payload) as Partial<ReadEnvelope>;
  } catch {
    return {};
  }
}

interface ReadEnvelope extends Record<'id' | 'type' | 'from' | 'timestamp', string> {
  readonly data: { readonly status: string; readonly clientId: string; readonly identity: string };
}
