import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** By default, V8 lets garbage grow to several times the live heap; the memory of a pod should follow its connections. */
const HEAP_GROWING_PERCENT = 100;

/**
 * Configures V8's garbage collector at the start of a pod's process: the heap grows to at most twice its live part, and the main thread
 * marks it in small steps.
 */
export function setUpCollector(): void {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  // On a single core, V8's marking threads would take whole time slices from the main thread.
  setFlagsFromString('--no-concurrent-marking');
}

/** The heap size beyond which V8 ends the process: from the memory of the machine or container, or `--max-old-space-size`. */
export function heapLimitBytes(): number {
  return getHeapStatistics().heap_size_limit;
}

/** Collects all garbage now, which blocks for some milliseconds: for a pod without connections. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  // The first call may finish a collection that was under way, which keeps what died since it began.
  gc();
  gc();
}
