import type { Fact, Witness } from '../facts.js';
import type { FaultKind } from '../plan.js';

interface Spell {
  readonly kind: FaultKind;
  readonly slot: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/** What was on its way when a fault began. */
const LEAD_MS = 1000;

/** Knows when something was wrong, and for which pods: what could excuse what clients were told. */
export class Weather implements Witness {
  readonly #recoveryMs: number;
  readonly #spells: Spell[] = [];

  /** @param recoveryMs so long after its end may a fault still be felt */
  constructor(recoveryMs: number) {
    this.#recoveryMs = recoveryMs;
  }

  see(fact: Fact, nowMs: number): void {
    if (fact.kind !== 'fault' || fact.phase !== 'begins') return;
    const { kind, slot, lastsMs } = fact.fault;
    // A clock that is set excuses nothing.
    if (kind === 'clock-set') return;
    this.#spells.push({ kind, slot, fromMs: nowMs, toMs: nowMs + lastsMs });
  }

  /** The first moment from a time on at which nothing is wrong at a slot, nor was a moment ago. */
  calmFrom(ms: number, slot: number): number {
    let calmMs = ms;
    // They began in this order, so one pass is enough but for those that last longer than the next.
    for (let isCalm = false; !isCalm;) {
      isCalm = true;
      for (const { fromMs, toMs } of this.#at(slot)) {
        if (fromMs - LEAD_MS > calmMs || calmMs >= toMs + this.#recoveryMs) continue;
        calmMs = toMs + this.#recoveryMs;
        isCalm = false;
      }
    }
    return calmMs;
  }

  /** Whether anything, or anything of some kinds, was wrong at a slot in a time, or shortly before. */
  wasBad(slot: number, fromMs: number, toMs: number, kinds?: readonly FaultKind[]): boolean {
    return this.#at(slot).some(
      (spell) => spell.fromMs <= toMs && fromMs <= spell.toMs + this.#recoveryMs && (kinds?.includes(spell.kind) ?? true),
    );
  }

  /** Whether anything of some kinds befell after which it has not been calm since, at one of the slots. */
  lingers(kinds: readonly FaultKind[], ms: number, slots: number): boolean {
    const isRestless = (fromMs: number) =>
      Array.from({ length: slots }, (_, slot) => this.calmFrom(fromMs, slot)).some((calmMs) => calmMs > ms);
    return this.#spells.some(({ kind, fromMs }) => kinds.includes(kind) && fromMs <= ms && isRestless(fromMs));
  }

  /** Whether anything of some kinds was wrong at a slot in a time. */
  befell(slot: number, kinds: readonly FaultKind[], fromMs: number, toMs: number): boolean {
    return this.#at(slot).some((spell) => kinds.includes(spell.kind) && spell.fromMs <= toMs && fromMs <= spell.toMs);
  }

  /** Whether a fault, at a slot or anywhere, can be why something may be missing since a time: one that began at most `reachMs` after it. */
  explains(slot: number | 'any', sinceMs: number, toldMs: number, reachMs: number): boolean {
    return (slot === 'any' ? this.#spells : this.#at(slot)).some(
      ({ fromMs, toMs }) => fromMs <= toldMs && fromMs - reachMs <= sinceMs && sinceMs <= toMs + this.#recoveryMs,
    );
  }

  #at(slot: number): Spell[] {
    return this.#spells.filter((spell) => spell.slot === -1 || spell.slot === slot);
  }
}
