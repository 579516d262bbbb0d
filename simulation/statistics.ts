import type { Accepted, Fact, FactObserver } from './facts.js';

/** Counts what happened in a run, or in many. */
export class Statistics implements FactObserver {
  connections = 0;
  welcomes = 0;
  publishes = 0;
  deliveries = 0;
  /** Messages that had waited in a send buffer. */
  waited = 0;
  /** Presence messages that Redis accepted. */
  presence = 0;
  /** By kind of Redis. */
  readonly runs = new Map<string, number>();
  readonly faults = new Map<string, number>();
  readonly gaps = new Map<string, number>();
  readonly errors = new Map<string, number>();
  readonly closes = new Map<string, number>();
  /** What the checks saw and did not report. */
  readonly excused = new Map<string, number>();

  /** Counts a run. @param redis the kind of Redis */
  begin(redis: string): void {
    count(this.runs, redis);
  }

  excuse(what: string): void {
    count(this.excused, what);
  }

  observe(fact: Fact): void {
    if (fact.kind === 'opened') this.connections += 1;
    else if (fact.kind === 'accepted') this.#accept(fact.accepted);
    else if (fact.kind === 'written') this.waited += fact.waited ? fact.messages : 0;
    else if (fact.kind === 'closed') count(this.closes, String(fact.code));
    else if (fact.kind === 'fault' && fact.phase === 'begins') count(this.faults, fact.fault.kind);
    else if (fact.kind === 'heard') this.#receive(fact.message.type, fact.message.data as Readonly<Record<string, string>>);
  }

  add(other: Statistics): void {
    this.connections += other.connections;
    this.welcomes += other.welcomes;
    this.publishes += other.publishes;
    this.deliveries += other.deliveries;
    this.waited += other.waited;
    this.presence += other.presence;
    for (const [mine, theirs] of [
      [this.runs, other.runs],
      [this.faults, other.faults],
      [this.gaps, other.gaps],
      [this.errors, other.errors],
      [this.closes, other.closes],
      [this.excused, other.excused],
    ] as const) {
      for (const [what, times] of theirs) count(mine, what, times);
    }
  }

  /** The report that `npm run simulate` prints. */
  toString(): string {
    const list = (counts: ReadonlyMap<string, number>) =>
      [...counts]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([what, times]) => `${what} ${times}`)
        .join(', ') || 'none';
    return [
      `connections ${this.connections}, welcomes ${this.welcomes}, publishes ${this.publishes}, deliveries ${this.deliveries}, buffered ${this.waited}, presence ${this.presence}`,
      `runs: ${list(this.runs)}`,
      `faults: ${list(this.faults)}`,
      `gaps: ${list(this.gaps)}`,
      `errors sent: ${list(this.errors)}`,
      `closes: ${list(this.closes)}`,
      `excused: ${list(this.excused)}`,
    ].join('\n');
  }

  #accept({ presence }: Accepted): void {
    this.publishes += 1;
    if (presence) this.presence += 1;
  }

  #receive(type: string, { event, reason, code }: Readonly<Record<string, string>>): void {
    if (type === 'error') count(this.errors, code ?? '');
    else if (type !== 'system') this.deliveries += 1;
    else if (event === 'gap') count(this.gaps, reason ?? '');
    else if (event === 'welcome') this.welcomes += 1;
  }
}

function count(counts: Map<string, number>, what: string, times = 1): void {
  counts.set(what, (counts.get(what) ?? 0) + times);
}
