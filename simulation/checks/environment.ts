import type { Fact, FactObserver } from '../facts.js';
import type { FaultKind } from '../plan.js';

interface FaultPeriod {
  readonly kind: FaultKind;
  readonly slot: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/** How long before a fault something that it affects may have been sent. */
const LEAD_MS = 1000;

/** Records when which faults affected which pods, for checks that allow more during faults. */
export class Environment implements FactObserver {
  readonly #recoveryMs: number;
  readonly #periods: FaultPeriod[] = [];

  /** @param recoveryMs how long after its end a fault may still have effects */
  constructor(recoveryMs: number) {
    this.#recoveryMs = recoveryMs;
  }

  observe(fact: Fact, nowMs: number): void {
    if (fact.kind !== 'fault' || fact.phase !== 'begins') return;
    const { kind, slot, lastsMs } = fact.fault;
    // A clock that is set excuses no violation.
    if (kind === 'clock-set') return;
    this.#periods.push({ kind, slot, fromMs: nowMs, toMs: nowMs + lastsMs });
  }

  /** The first moment at or after `ms` at which no fault affects the slot. */
  calmFrom(ms: number, slot: number): number {
    let calmMs = ms;
    // Repeated, because a fault may last longer than one that began after it.
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

  /** Whether a fault, of any or of the given kinds, affected the slot during a period or shortly before. */
  hadFault(slot: number, fromMs: number, toMs: number, kinds?: readonly FaultKind[]): boolean {
    return this.#at(slot).some(
      (spell) => spell.fromMs <= toMs && fromMs <= spell.toMs + this.#recoveryMs && (kinds?.includes(spell.kind) ?? true),
    );
  }

  /** Whether anything of some kinds befell after which it has not been calm since, at one of the slots. */
  lingers(kinds: readonly FaultKind[], ms: number, slots: number): boolean {
    const isRestless = (fromMs: number) =>
      Array.from({ length: slots }, (_, slot) => this.calmFrom(fromMs, slot)).some((calmMs) => calmMs > ms);
    return this.#periods.some(({ kind, fromMs }) => kinds.includes(kind) && fromMs <= ms && isRestless(fromMs));
  }

  /** Whether anything of some kinds was wrong at a slot in a time. */
  befell(slot: number, kinds: readonly FaultKind[], fromMs: number, toMs: number): boolean {
    return this.#at(slot).some((spell) => kinds.includes(spell.kind) && spell.fromMs <= toMs && fromMs <= spell.toMs);
  }

  /** Whether a fault, at a slot or anywhere, can be why something may be missing since a time: one that began at most `reachMs` after it. */
  explains(slot: number | 'any', sinceMs: number, toldMs: number, reachMs: number): boolean {
    return (slot === 'any' ? this.#periods : this.#at(slot)).some(
      ({ fromMs, toMs }) => fromMs <= toldMs && fromMs - reachMs <= sinceMs && sinceMs <= toMs + this.#recoveryMs,
    );
  }

  #at(slot: number): FaultPeriod[] {
    return this.#periods.filter((spell) => spell.slot === -1 || spell.slot === slot);
  }
}
