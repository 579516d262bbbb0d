import { differences, type Difference } from './difference.js';
import type { Legend } from './legend.js';
import { ERROR, type Mark, type Row } from './rows.js';
import { quoted, show } from './show.js';

/** What came in a row: a value, a mark (`|`, `#`, `^`, `!`), or a mark that bears a value, as an error does. */
export interface Came {
  readonly atMs: number;
  readonly mark?: string | undefined;
  readonly value?: unknown;
}

/** What should come; a mark without a value says nothing of the value. */
export interface Expected extends Came {
  readonly letter: string;
}

/** Something that is not as it should be, and when. */
export interface Complaint {
  readonly atMs: number;
  readonly lines: readonly string[];
}

/** A row as it should be and as it was, in letters. */
export interface Compared {
  readonly expected: readonly Mark[];
  readonly actual: readonly Mark[];
  readonly complaints: readonly Complaint[];
}

/** More differences than this of one value are counted, not told. */
const MAX_DIFFERENCES = 5;

/** Holds what came against what should have, moment by moment; within a moment the order counts. */
export function compare(expected: readonly Expected[], came: readonly Came[], legend: Legend): Compared {
  const [wanted, actual] = [byTime(expected), byTime(came)];
  const times = [...new Set([...wanted.keys(), ...actual.keys()])].sort((a, b) => a - b);
  const moments = times.map((atMs) => compareMoment(wanted.get(atMs) ?? [], actual.get(atMs) ?? [], legend));
  return {
    expected,
    actual: moments.flatMap((moment) => moment.actual),
    complaints: moments.flatMap((moment) => moment.complaints),
  };
}

/** How a row is read. */
export interface Reading {
  readonly legend: Legend;
  /** The characters that are no letters of the legend in it. */
  readonly marks: string;
  /** What `#` bears; undefined for whatever it does. */
  readonly error?: unknown;
}

/**
 * What a row says.
 *
 * @throws MarbleError for a letter that stands for nothing
 */
export function expectedOf({ name, marks: all }: Row, { legend, marks, error }: Reading): readonly Expected[] {
  return all.map(({ atMs, letter }) => {
    if (!marks.includes(letter)) return { atMs, letter, value: legend.valueOf(letter, name) };
    const bearing = letter === ERROR && error !== undefined ? { value: error } : {};
    return { atMs, letter, mark: letter, ...bearing };
  });
}

function byTime<T extends Came>(all: readonly T[]): ReadonlyMap<number, readonly T[]> {
  const moments = new Map<number, T[]>();
  for (const one of all) {
    const moment = moments.get(one.atMs);
    if (moment) moment.push(one);
    else moments.set(one.atMs, [one]);
  }
  return moments;
}

function compareMoment(
  wanted: readonly Expected[],
  came: readonly Came[],
  legend: Legend,
): Pick<Compared, 'actual' | 'complaints'> {
  const actual = came.map((one, nth): Expected => ({
    ...one,
    letter: one.mark ?? legend.letterOf(one.value, wanted[nth]?.letter),
  }));
  const pairs = Array.from({ length: Math.max(wanted.length, actual.length) }, (_, nth) => [wanted[nth], actual[nth]] as const);
  return { actual, complaints: pairs.flatMap(([one, other]) => complain(one, other)) };
}

function complain(expected: Expected | undefined, actual: Expected | undefined): readonly Complaint[] {
  if (expected === undefined) {
    return actual ? [{ atMs: actual.atMs, lines: [`${actual.letter} came, and nothing was expected`] }] : [];
  }
  const { atMs, letter } = expected;
  if (actual === undefined) return [{ atMs, lines: [`${letter} was expected, and nothing came`] }];
  if (expected.mark !== actual.mark) return [{ atMs, lines: [`${letter} was expected, and ${actual.letter} came`] }];
  const differing = 'value' in expected ? differences(expected.value, actual.value) : [];
  return differing.length === 0
    ? []
    : [{ atMs, lines: [`${letter} was expected, and ${actual.letter} came`, ...tell(differing)] }];
}

/** What is of another kind differs in everything else too. */
const KINDS: ReadonlySet<string> = new Set(['kind', 'type', 'closed']);

function tell(differing: readonly Difference[]): readonly string[] {
  const kinds = differing.filter(({ path }) => KINDS.has(path));
  const all = kinds.length > 0 ? kinds : differing;
  const told = all.slice(0, MAX_DIFFERENCES).map((one) => `  ${tellOne(one)}`);
  return all.length > MAX_DIFFERENCES ? [...told, `  and ${all.length - MAX_DIFFERENCES} more differences`] : told;
}

function tellOne({ path, expected, actual }: Difference): string {
  const where = path === '' ? 'it' : path;
  if (expected === undefined) return `${where} is ${show(actual)}, and should not be there`;
  if (actual === undefined) return `${where} is missing, and should be ${show(expected)}`;
  const [one, other] = typeof expected === 'string' && typeof actual === 'string' ? aroundDifference(expected, actual) : [];
  return `${where} is ${other ?? show(actual)} instead of ${one ?? show(expected)}`;
}

const BEFORE_DIFFERENCE = 20;

/** Two long texts are shown from where they begin to differ. */
function aroundDifference(expected: string, actual: string): readonly [string, string] {
  let same = 0;
  while (same < expected.length && expected[same] === actual[same]) same += 1;
  const from = Math.max(0, same - BEFORE_DIFFERENCE);
  const lead = from > 0 ? '…' : '';
  return [quoted(lead + expected.slice(from)), quoted(lead + actual.slice(from))];
}
