import type { Outcome } from './play.js';
import { planOf, type Plan, type Selection, type Settings } from './plan.js';

/** The most plans that are tried. */
const MOST_TRIES = 120;

/**
 * Searches for the smallest part of a plan that still fails the same check: first shorter, then with fewer faults, then with fewer clients.
 *
 * @param fails plays a plan; resolves to its outcome if it fails the same check, otherwise to undefined
 */
export async function shrink(
  settings: Settings,
  failed: Outcome,
  fails: (plan: Plan) => Promise<Outcome | undefined>,
): Promise<Selection> {
  let tries = 0;
  let best: Selection = {
    faults: failed.plan.faults.map(({ index }) => index),
    clients: failed.plan.clients.map(({ index }) => index),
  };
  const attempt = async (selection: Selection): Promise<boolean> => {
    if (tries >= MOST_TRIES) return false;
    tries += 1;
    if (!(await fails(planOf(settings, selection)))) return false;
    best = selection;
    return true;
  };
  for (let durationMs = Math.ceil(failed.plan.durationMs / 2); durationMs > 1000; durationMs = Math.ceil(durationMs / 2)) {
    if (!(await attempt({ ...best, durationMs }))) break;
  }
  for (const part of ['faults', 'clients', 'faults'] as const) await drop(part, () => best, attempt);
  return best;
}

/** Leaves out halves, then quarters, down to single elements. */
async function drop(
  part: 'faults' | 'clients',
  best: () => Selection,
  attempt: (selection: Selection) => Promise<boolean>,
): Promise<void> {
  for (let size = Math.ceil((best()[part]?.length ?? 0) / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < (best()[part]?.length ?? 0);) {
      const kept = (best()[part] ?? []).filter((_, index) => index < at || index >= at + size);
      const isPossible = kept.length > 0 || part === 'faults';
      if (!isPossible || !(await attempt({ ...best(), [part]: kept }))) at += size;
    }
  }
}
