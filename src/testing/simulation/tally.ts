import type { Fact, Witness } from './facts.js';

/** What a run, or many, came to: how much there was of what. */
export class Tally implements Witness {
  connections = 0;
  welcomes = 0;
  publishes = 0;
  deliveries = 0;
  /** Messages written after they had waited for a socket. */
  waited = 0;
  readonly faults = new Map<string, number>();
  readonly gaps = new Map<string, number>();
  readonly errors = new Map<string, number>();
  readonly closes = new Map<string, number>();

  see(fact: Fact): void {
    switch (fact.kind) {
      case 'opened':
        this.connections += 1;
        break;
      case 'accepted':
        this.publishes += 1;
        break;
      case 'written':
        if (fact.waited) this.waited += fact.messages;
        break;
      case 'closed':
        count(this.closes, String(fact.code));
        break;
      case 'fault':
        if (fact.phase === 'begins') count(this.faults, fact.fault.kind);
        break;
      case 'heard':
        this.#hear(fact.message.type, fact.message.data as Readonly<Record<string, string>>);
        break;
      default:
    }
  }

  add(other: Tally): void {
    this.connections += other.connections;
    this.welcomes += other.welcomes;
    this.publishes += other.publishes;
    this.deliveries += other.deliveries;
    this.waited += other.waited;
    for (const [mine, theirs] of [
      [this.faults, other.faults],
      [this.gaps, other.gaps],
      [this.errors, other.errors],
      [this.closes, other.closes],
    ] as const) {
      for (const [what, times] of theirs) count(mine, what, times);
    }
  }

  /** As lines for people. */
  toString(): string {
    const list = (counts: ReadonlyMap<string, number>) =>
      [...counts]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([what, times]) => `${what} ${times}`)
        .join(', ') || 'none';
    return [
      `connections ${this.connections}, welcomes ${this.welcomes}, publishes ${this.publishes}, deliveries ${this.deliveries}, waited ${this.waited}`,
      `faults: ${list(this.faults)}`,
      `gaps: ${list(this.gaps)}`,
      `errors told: ${list(this.errors)}`,
      `closes: ${list(this.closes)}`,
    ].join('\n');
  }

  #hear(type: string, { event, reason, code }: Readonly<Record<string, string>>): void {
    if (type === 'error') count(this.errors, code ?? '');
    else if (type !== 'system') this.deliveries += 1;
    else if (event === 'gap') count(this.gaps, reason ?? '');
    else if (event === 'welcome') this.welcomes += 1;
  }
}

function count(counts: Map<string, number>, what: string, times = 1): void {
  counts.set(what, (counts.get(what) ?? 0) + times);
}
