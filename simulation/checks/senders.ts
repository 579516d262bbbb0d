import { CloseCode, type Envelope } from '../../src/protocol/protocol.js';
import type { Connection, Fact } from '../facts.js';
import { madeMs } from '../pod.js';
import { channelOf, type Check, type CheckOptions } from './check.js';

interface Said {
  readonly atMs: number;
  readonly room: string | undefined;
}

/** So long an answer may take when nothing is wrong. */
const ANSWER_MS = 1000;

/** Whoever says something hears it back, or gets an error, or loses the connection; and is told nothing false. */
export class SenderCheck implements Check {
  readonly #options: CheckOptions;
  readonly #open = new Map<Connection, Map<string, Said>>();
  /** Told as not published. */
  readonly #unavailable = new Set<string>();

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  observe(fact: Fact, nowMs: number): void {
    if (fact.kind === 'said') this.#saidBy(fact.connection).set(fact.id, { atMs: nowMs, room: fact.room });
    else if (fact.kind === 'heard') this.#hear(fact.connection, fact.message);
    else if (fact.kind === 'ended') this.#end(fact, nowMs);
    else if (fact.kind === 'accepted' && this.#unavailable.has(fact.accepted.id)) {
      this.#options.report(`${fact.accepted.id} was published, and its sender told that it was not`);
    }
  }

  #hear(connection: Connection, message: Envelope): void {
    if (message.type === 'error') this.#refuse(connection, message);
    else if (message.type === 'chat' || message.type === 'pong') this.#saidBy(connection).delete(message.id);
  }

  #refuse(connection: Connection, { data, id }: Envelope): void {
    const { environment, report } = this.#options;
    // When it was said; a slow reader's send buffer may have kept it since.
    const toldMs = madeMs({ id });
    const { code = '', ref = '' } = data as { readonly code?: string; readonly ref?: string };
    const said = this.#saidBy(connection).get(ref);
    this.#saidBy(connection).delete(ref);
    // A publish that Redis did and did not answer is heard first.
    if (said === undefined && code !== 'unconfirmed')
      report(`got ${code} about ${ref}, which it did not say or has heard of already`, connection);
    if (code !== 'unavailable' && code !== 'unconfirmed') return;
    if (!environment.hadFault(connection.pod.slot, said?.atMs ?? toldMs, toldMs))
      report(`got ${code} though nothing was wrong`, connection);
    if (code === 'unavailable') this.#notPublished(connection, ref, said?.room);
  }

  #notPublished(connection: Connection, ref: string, room: string | undefined): void {
    const { redis, report } = this.#options;
    this.#unavailable.add(ref);
    if (redis.position(channelOf(room), ref) !== undefined)
      report(`got unavailable about ${ref}, which was published`, connection);
  }

  #end({ connection, unread, code }: Fact & { kind: 'ended' }, nowMs: number): void {
    const { environment, redis, report } = this.#options;
    const said = this.#open.get(connection) ?? [];
    this.#open.delete(connection);
    // Who did not read can't know.
    if (unread > 0 || code === CloseCode.slowConsumer) return;
    for (const [id, { atMs, room }] of said) {
      // What Redis took is for the delivery's check: its sender is a member too.
      if (room !== undefined && redis.position(channelOf(room), id) !== undefined) continue;
      if (nowMs <= environment.calmFrom(atMs, connection.pod.slot) + ANSWER_MS) continue;
      report(`sent ${id} and received nothing about it for ${nowMs - atMs} ms`, connection);
      return;
    }
  }

  #saidBy(connection: Connection): Map<string, Said> {
    const said = this.#open.get(connection) ?? new Map<string, Said>();
    this.#open.set(connection, said);
    return said;
  }
}
