import { differences } from './difference.js';
import { MarbleError } from './marble-error.js';
import { show } from './show.js';

/** What a letter stands for. */
export interface LegendEntry {
  readonly letter: string;
  readonly value: unknown;
  /** Whether the test has named it; or else it came without having a letter. */
  readonly isNamed: boolean;
}

/** For values that have no letter of their own. */
const SPARE_LETTERS = Array.from('123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0');
const NO_LETTER = '?';

/** Characters that mean something else in a row. */
const RESERVED = new Set(Array.from('-()|#^! '));

/** The values of rows of one kind, by the letters that stand for them. */
export class Legend {
  readonly #entries: LegendEntry[] = [];
  /** A letter that is not named stands for itself, as in RxJS. */
  readonly #isOpen: boolean;

  /** A value in words. */
  readonly describe: (value: unknown) => string;

  /** @throws MarbleError where a name cannot be a letter of a row */
  constructor(named: Readonly<Record<string, unknown>> | undefined, describe: (value: unknown) => string = show) {
    this.describe = describe;
    this.#isOpen = named === undefined;
    for (const [letter, value] of Object.entries(named ?? {})) {
      if (!isLetter(letter)) {
        throw new MarbleError(`${show(letter)} cannot stand for a value: a letter is one character, and none of - ( ) | # ^ !`);
      }
      this.#entries.push({ letter, value, isNamed: true });
    }
  }

  get entries(): readonly LegendEntry[] {
    return this.#entries;
  }

  /** @throws MarbleError for a letter that has no value */
  valueOf(letter: string, row: string): unknown {
    const entry = this.#entries.find((one) => one.isNamed && one.letter === letter);
    if (entry) return entry.value;
    if (this.#isOpen) return letter;
    const known = this.#entries.filter(({ isNamed }) => isNamed).map((one) => one.letter);
    const time = /\d/.test(letter) ? '; a time stands between blanks, as in "a 9s b"' : '';
    throw new MarbleError(`row ${row}: ${show(letter)} stands for no value; letters: ${known.join(' ') || 'none'}${time}`);
  }

  /**
   * The letter of a value that came; one that is not named gets a letter now.
   *
   * @param preferred what it should have been: several letters may stand for the same
   */
  letterOf(value: unknown, preferred?: string): string {
    const fitting = this.#entries.filter((entry) => differences(entry.value, value).length === 0);
    const entry = fitting.find(({ letter }) => letter === preferred) ?? fitting[0];
    return entry?.letter ?? this.#name(value);
  }

  #name(value: unknown): string {
    const taken = new Set(this.#entries.map(({ letter }) => letter));
    const itself = this.#isOpen && typeof value === 'string' && isLetter(value);
    const letter = itself ? value : (SPARE_LETTERS.find((spare) => !taken.has(spare)) ?? NO_LETTER);
    if (letter !== NO_LETTER) this.#entries.push({ letter, value, isNamed: false });
    return letter;
  }
}

/** One character, which may be more than one code unit. */
function isLetter(text: string): boolean {
  return Array.from(text).length === 1 && !RESERVED.has(text);
}
