import type { Violation } from './checks/check.js';
import type { Connection, Fact, Witness } from './facts.js';

interface Entry {
  readonly atMs: number;
  readonly connection: Connection | undefined;
  readonly slot: number | undefined;
  readonly text: string;
}

const LINES = 60;

/** Keeps what happened up to the first violation, to be read by people. */
export class History implements Witness {
  readonly #entries: Entry[] = [];
  #isOver = false;

  see(fact: Fact, nowMs: number): void {
    if (this.#isOver) return;
    const text = textOf(fact);
    if (text === undefined) return;
    const connection = 'connection' in fact ? fact.connection : undefined;
    const slot = 'pod' in fact ? fact.pod.slot : undefined;
    this.#entries.push({ atMs: nowMs, connection, slot, text });
  }

  stop(): void {
    this.#isOver = true;
  }

  /** The last that has to do with a violation: its connection, its pod, and what befell everybody. */
  about({ connection }: Violation): readonly string[] {
    const isAbout = (entry: Entry) =>
      connection === undefined ||
      ((entry.connection ?? connection) === connection && (entry.slot ?? connection.pod.slot) === connection.pod.slot);
    return this.#entries
      .filter(isAbout)
      .slice(-LINES)
      .map(({ atMs, text }) => `${new Date(atMs).toISOString().slice(11, 23)} ${text}`);
  }
}

function textOf(fact: Fact): string | undefined {
  switch (fact.kind) {
    case 'fault':
      return `${fact.fault.kind} ${fact.phase}${fact.fault.slot < 0 ? '' : ` at pod ${fact.fault.slot}`} (fault ${fact.fault.index}, ${fact.fault.lastsMs} ms)`;
    case 'accepted':
      return `Redis takes ${fact.accepted.type} ${fact.accepted.id} as number ${fact.position} of ${fact.channel}${fact.accepted.counts ? '' : ', at a replica'}`;
    case 'arrived':
      return `pod ${fact.pod.slot}/${fact.pod.life} gets number ${fact.position} of ${fact.channel}`;
    case 'opened':
      return `${nameOf(fact.connection)} opens at pod ${fact.connection.pod.slot}/${fact.connection.pod.life}, a ${fact.connection.client.habit} client in [${fact.connection.client.rooms.join(', ')}]`;
    case 'said':
      return `${nameOf(fact.connection)} says ${fact.id} in ${fact.room ?? 'no room'}`;
    case 'heard':
      return `${nameOf(fact.connection)} hears ${fact.message.type} ${fact.message.id} ${fact.message.type === 'chat' ? '' : JSON.stringify(fact.message.data)}`;
    case 'shut':
      return `${nameOf(fact.connection)} is asked to close: ${fact.code}`;
    case 'ended':
    case 'closed':
      return `${nameOf(fact.connection)} is over for its ${fact.kind === 'ended' ? 'client' : 'pod'}: ${fact.code}`;
    case 'warned':
      return `pod ${fact.pod.slot}/${fact.pod.life} warns: ${fact.what}`;
    case 'left-over':
    case 'failed':
      return `${fact.kind}: ${fact.what}`;
    case 'written':
    case 'publishing':
      return undefined;
  }
}

function nameOf({ number, client }: Connection): string {
  return `connection ${number} of client ${client.index}`;
}
