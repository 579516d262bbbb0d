import { Session } from 'node:inspector';
import { setFlagsFromString } from 'node:v8';

/** Files whose work is counted: the source without what is for tests, and RxJS. */
const COUNTED = /\/src\/(?!testing\/)|\/rxjs\//;

/** Methods of an array that walk over it, or move what it holds, without running any code that V8 would count. */
const WALKS = [
  ...([
    'indexOf',
    'includes',
    'lastIndexOf',
    'splice',
    'shift',
    'unshift',
    'slice',
    'concat',
    'reverse',
    'sort',
    'fill',
    'join',
  ] as const),
  ...(['map', 'filter', 'forEach', 'some', 'every', 'find', 'findIndex', 'flatMap', 'reduce'] as const),
];

/**
 * Counts the work that an action takes: how often each block of the code is entered, plus the lengths of all arrays that a built-in
 * method walks and the elements of all collections that are iterated. It depends on neither the machine nor the time.
 *
 * V8 puts its counters into functions that it compiles from then on: make the counter before the code runs for the first time.
 */
export class WorkCounter {
  readonly #session = new Session();

  constructor() {
    // Optimised code does not count how often a function is called.
    setFlagsFromString('--no-opt');
    setFlagsFromString('--no-maglev');
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  workOf(action: () => void): number {
    entered(this.#session);
    const walked = countWalks();
    try {
      action();
    } finally {
      walked.end();
    }
    return entered(this.#session) + walked.count;
  }

  end(): void {
    this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
    setFlagsFromString('--opt');
    setFlagsFromString('--maglev');
  }
}

/** How often blocks were entered since this was asked last; the inspector of the own thread answers before `post` returns. */
function entered(session: Session): number {
  let count = 0;
  session.post('Profiler.takePreciseCoverage', (_, { result }) => {
    for (const { url, functions } of result) {
      if (!COUNTED.test(url)) continue;
      for (const { ranges } of functions) for (const range of ranges) count += range.count;
    }
  });
  return count;
}

function countWalks(): { readonly count: number; readonly end: () => void } {
  const walked = { count: 0 };
  const restore: (() => void)[] = [];
  const wrap = (holder: object, name: string, cost: (length: number) => number) => {
    const original = Object.getOwnPropertyDescriptor(holder, name);
    if (original === undefined || typeof original.value !== 'function') throw new Error(`there is no ${name}`);
    const method = original.value as (this: { readonly length?: number }, ...args: unknown[]) => unknown;
    Object.defineProperty(holder, name, {
      ...original,
      value(this: { readonly length?: number }, ...args: unknown[]) {
        walked.count += cost(this.length ?? 0);
        return method.apply(this, args);
      },
    });
    restore.push(() => Object.defineProperty(holder, name, original));
  };
  for (const name of WALKS) wrap(Array.prototype, name, (length) => length);
  for (const iterator of [[].values(), new Set().values(), new Map().values()]) {
    wrap(Object.getPrototypeOf(iterator) as object, 'next', () => 1);
  }
  return {
    get count() {
      return walked.count;
    },
    end: () => {
      for (const one of restore) one();
    },
  };
}
