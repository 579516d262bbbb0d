import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** V8 otherwise lets garbage grow to several times of what lives; what a pod takes should follow its connections. */
const HEAP_GROWING_PERCENT = 100;

/**
 * Sets V8's collector up for a pod, at the start of its process: the heap grows to at most twice what lives, and is marked by the main
 * thread in small steps.
 */
export function setUpCollector(): void {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  // On a pod's only core, V8's marking threads would take whole time slices of the kernel's from the main one.
  setFlagsFromString('--no-concurrent-marking');
}

/** V8 ends the process beyond this. Node chooses it by the memory of the machine or container, unless `--max-old-space-size` is given. */
export function heapLimitBytes(): number {
  return getHeapStatistics().heap_size_limit;
}

/** Collects all garbage now, which takes some milliseconds: for a pod that nobody waits for. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  // A collection that was under way keeps what died since it began; the second begins now.
  gc();
  gc();
}
