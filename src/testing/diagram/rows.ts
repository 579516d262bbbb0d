import { TestScheduler } from 'rxjs/testing';
import { MarbleError } from './marble-error.js';

/** Something in a row of marbles: a letter of the legend, or `^`, `!`, `|`, `#`. */
export interface Mark {
  readonly atMs: number;
  readonly letter: string;
}

/** A line of a diagram. */
export interface Row {
  readonly name: string;
  /** As they stand, which is the order of their time. */
  readonly marks: readonly Mark[];
  /** How much time it shows. */
  readonly lengthMs: number;
}

/** The marks that mean the same in every row that may have them; all others are letters of a legend. */
export const BEGIN = '^';
export const END = '!';
export const COMPLETE = '|';
export const ERROR = '#';

/** RxJS gives these two a meaning of its own, so they go through its parser as other characters; and one that ends the row. */
const BEGIN_STAND_IN = '\u0001';
const END_STAND_IN = '\u0002';
const LENGTH = '\u0003';

/**
 * Reads aligned rows: one a line, each with its name, then its marbles in RxJS' syntax (a character is a millisecond, ` 9s ` are
 * nine seconds, `(ab)` is one moment, blanks count nothing), and `^` and `!` for what begins and ends.
 *
 * @param names of rows whose names may have several words; any other row is called as its first word
 * @param beginnings of names that end with one word more
 * @throws MarbleError for marbles that make no sense
 */
export function readDiagram(diagram: string, names: readonly string[], beginnings: readonly string[] = []): readonly Row[] {
  const lines = diagram.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '').map((line) => readRow(line, nameOf(line, names, beginnings)));
}

function nameOf(line: string, names: readonly string[], beginnings: readonly string[]): string {
  const named = names.filter((name) => line === name || line.startsWith(`${name} `));
  const begun = beginnings
    .filter((beginning) => line.startsWith(beginning))
    .map((beginning) => beginning + firstWord(line.slice(beginning.length)));
  const [longest = firstWord(line)] = [...named, ...begun].sort((a, b) => b.length - a.length);
  return longest;
}

function firstWord(text: string): string {
  return text.split(' ', 1)[0] ?? '';
}

function readRow(line: string, name: string): Row {
  try {
    return { name, ...readMarbles(line.slice(name.length)) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new MarbleError(`${error.message}, in the row: ${line}`);
  }
}

/** Marks and length of one row's marbles. */
export function readMarbles(marbles: string): Pick<Row, 'marks' | 'lengthMs'> {
  checkGroups(marbles);
  const stood = `${marbles.replaceAll(BEGIN, BEGIN_STAND_IN).replaceAll(END, END_STAND_IN)} ${LENGTH}`;
  const marks = parse(stood);
  const length = marks.pop();
  return { marks, lengthMs: length?.atMs ?? 0 };
}

/** RxJS' parser; a frame is a millisecond, as in `TestScheduler.run`. */
class Parser extends TestScheduler {
  static override frameTimeFactor = 1;
}

function parse(marbles: string): Mark[] {
  return Parser.parseMarbles(marbles, undefined, undefined, false, true).map(({ frame, notification }) => {
    if (notification.kind === 'C') return { atMs: frame, letter: COMPLETE };
    if (notification.kind === 'E') return { atMs: frame, letter: ERROR };
    // Without a legend the parser gives the characters themselves.
    return { atMs: frame, letter: original(notification.value as string) };
  });
}

function original(character: string): string {
  if (character === BEGIN_STAND_IN) return BEGIN;
  return character === END_STAND_IN ? END : character;
}

/** The parser takes what follows an open `(` for one moment, to the end of the row. */
function checkGroups(marbles: string): void {
  const groups = marbles.replaceAll(/\([^()]*\)/g, '');
  if (/[()]/.test(groups)) throw new MarbleError('a "(" without its ")", or one within another');
}
