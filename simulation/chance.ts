/** Chance from a seed: the same seed, the same numbers. Each fork is a sequence of its own, whatever is drawn from the others. */
export class Chance {
  readonly #key: number;
  #state: number;

  constructor(seed: number) {
    this.#key = seed >>> 0;
    this.#state = mix(this.#key);
  }

  /** The sequence that belongs to a name. */
  fork(name: string): Chance {
    return new Chance(hash(name, this.#key));
  }

  /** Uniform in [0, 1). Mulberry32. */
  readonly next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    return mix(this.#state) / 2 ** 32;
  };

  /** An integer, both ends included. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  happens(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of a list that is not empty. */
  pick<T>(values: readonly [T, ...T[]]): T {
    return values[Math.floor(this.next() * values.length)] ?? values[0];
  }

  /** A wait whose mean is given, as between events that know nothing of one another. */
  wait(meanMs: number): number {
    return Math.ceil(-Math.log(1 - this.next()) * meanMs);
  }
}

/** FNV-1a over a text, from a state to a state: 32 bits. */
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
