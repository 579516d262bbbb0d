/** A seeded random number generator. The sequence of a fork does not depend on how many numbers are drawn from others. */
export class SeededRandom {
  readonly #key: number;
  #state: number;

  constructor(seed: number) {
    this.#key = seed >>> 0;
    this.#state = mix(this.#key);
  }

  /** A generator of its own, determined by the seed and the name. */
  fork(name: string): SeededRandom {
    return new SeededRandom(hash(name, this.#key));
  }

  /** Uniform in [0, 1). Mulberry32. */
  readonly next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    return mix(this.#state) / 2 ** 32;
  };

  /** A uniform integer from `least` to `most`, both included. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  happens(probability: number): boolean {
    return this.next() < probability;
  }

  /** A uniform choice. */
  pick<T>(values: readonly [T, ...T[]]): T {
    return values[Math.floor(this.next() * values.length)] ?? values[0];
  }

  /** An exponentially distributed wait, as between independent events. */
  wait(meanMs: number): number {
    return Math.ceil(-Math.log(1 - this.next()) * meanMs);
  }
}

/** The 32-bit FNV-1a hash of a text. @param state the hash of the text before it */
export function hash(text: string, state = 0x811c9dc5): number {
  let hashed = state;
  for (let at = 0; at < text.length; at++) hashed = Math.imul(hashed ^ text.charCodeAt(at), 0x01000193);
  return hashed >>> 0;
}

function mix(state: number): number {
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return (mixed ^ (mixed >>> 14)) >>> 0;
}
