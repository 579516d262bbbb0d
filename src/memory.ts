import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** V8 otherwise lets garbage grow to several times of what lives; what a pod takes should follow its connections. */
const HEAP_GROWING_PERCENT = 100;

/** Lets the heap grow to at most twice what lives before V8 collects. To be called at the start of the process. */
export function boundHeapGrowth(): void {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
}

/** Collects all garbage now, which takes some milliseconds: for a pod that nobody waits for. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  // A collection that was under way keeps what died since it began; the second begins now.
  gc();
  gc();
}
