import type { Mark } from './rows.js';

/** A row to draw. */
export interface DrawnRow {
  readonly label: string;
  readonly marks: readonly Mark[];
  /** Stands behind the row. */
  readonly note?: string | undefined;
}

export interface Drawing {
  readonly lines: readonly string[];
  /** Where a moment at which something happens stands in each line. */
  readonly columnOf: (atMs: number) => number;
  /** Whether read as marbles the rows would say what they show: a group may need more room than there is time. */
  readonly isExact: boolean;
}

/** What a moment of all rows looks like, and the time before it. */
interface Moment {
  readonly atMs: number;
  /** Dashes, or a time, in every row alike. */
  readonly before: string;
  readonly width: number;
}

/** A longer time in which nothing happens is written out: ` 5s `. */
const MAX_DASHES = 20;
const GAP = '  ';

/** Draws rows one under the other, so that what happens at the same time stands at the same place; as marbles that can be read again. */
export function draw(rows: readonly DrawnRow[]): Drawing {
  const labelWidth = Math.max(0, ...rows.map(({ label }) => label.length));
  const cells = rows.map(({ marks }) => cellsOf(marks));
  const moments = momentsOf(cells);
  const lines = rows.map(({ label, note }, nth) => {
    const marbles = moments.map(({ atMs, before, width }) => `${before}${(cells[nth]?.get(atMs) ?? '').padEnd(width, '-')}`);
    return [label.padEnd(labelWidth), marbles.join(''), ...(note === undefined ? [] : [note])].join(GAP).trimEnd();
  });
  return { lines, columnOf: (atMs) => labelWidth + GAP.length + columnIn(moments, atMs), isExact: areExact(moments) };
}

/** What a row shows at each of its moments: a letter, or a group of them. */
function cellsOf(marks: readonly Mark[]): ReadonlyMap<number, string> {
  const letters = new Map<number, string>();
  for (const { atMs, letter } of marks) letters.set(atMs, (letters.get(atMs) ?? '') + letter);
  return new Map(Array.from(letters, ([atMs, all]) => [atMs, all.length > 1 ? `(${all})` : all]));
}

function momentsOf(cells: readonly ReadonlyMap<number, string>[]): readonly Moment[] {
  const times = [...new Set(cells.flatMap((row) => [...row.keys()]))].sort((a, b) => a - b);
  let shownMs = 0;
  return times.map((atMs) => {
    const width = Math.max(...cells.map((row) => row.get(atMs)?.length ?? 0));
    const before = waiting(atMs - shownMs);
    shownMs = atMs + width;
    return { atMs, before, width };
  });
}

/** Dashes, or a time, with the dashes that make it a round one. */
function waiting(ms: number): string {
  if (ms <= MAX_DASHES) return '-'.repeat(Math.max(ms, 0));
  const odd = ms % 1000;
  if (odd > MAX_DASHES || ms < 1000) return ` ${ms}ms `;
  const seconds = (ms - odd) / 1000;
  return `${'-'.repeat(odd)} ${seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`} `;
}

function areExact(moments: readonly Moment[]): boolean {
  return moments.every(({ atMs, width }, nth) => atMs + width <= (moments[nth + 1]?.atMs ?? Infinity));
}

function columnIn(moments: readonly Moment[], atMs: number): number {
  let column = 0;
  for (const { atMs: momentMs, before, width } of moments) {
    column += before.length;
    if (momentMs >= atMs) break;
    column += width;
  }
  return column;
}
