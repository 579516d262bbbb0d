import type { Compared } from './comparison.js';
import { draw, type DrawnRow, type Drawing } from './drawing.js';
import type { Legend } from './legend.js';
import { MarbleError } from './marble-error.js';
import type { Mark } from './rows.js';

/** A row of a test: what it was given, or what was held against it. */
export interface PlayedRow {
  readonly name: string;
  readonly legend?: Legend | undefined;
  readonly played: readonly Mark[] | Compared;
}

/** What a test came to. */
export interface Outcome {
  readonly title: string;
  readonly rows: readonly PlayedRow[];
  /** What is wrong, whatever the rows say. */
  readonly faults: readonly string[];
  /** What may be the reason. */
  readonly hints: readonly string[];
}

const INDENT = '  ';

/** More complaints than this are counted, not told: one leads to the next. */
const MAX_COMPLAINTS = 5;

/** The failure of a test whose rows did not come true, as text; undefined where they did. */
export function failureOf({ title, rows, faults, hints }: Outcome): MarbleError | undefined {
  if (faults.length === 0 && rows.every((row) => complaintsOf(row).length === 0)) return undefined;
  const sections = [[title], diagram(rows), complaintLines(rows), faults, legendLines(rows), hints];
  return new MarbleError(
    sections
      .filter((lines) => lines.length > 0)
      .map((lines) => lines.join('\n'))
      .join('\n\n'),
  );
}

function complaintsOf({ played }: PlayedRow) {
  return isCompared(played) ? played.complaints : [];
}

function isCompared(played: PlayedRow['played']): played is Compared {
  return 'complaints' in played;
}

/** A row that came true is one line; one that did not is two, expected under actual. */
function linesOf({ name, played }: PlayedRow): readonly DrawnRow[] {
  if (!isCompared(played)) return [{ label: name, marks: played }];
  if (played.complaints.length === 0) return [{ label: name, marks: played.expected }];
  return [
    { label: name, marks: played.actual, note: 'came' },
    { label: '', marks: played.expected, note: 'expected' },
  ];
}

function diagram(rows: readonly PlayedRow[]): readonly string[] {
  const drawing = draw(rows.flatMap(linesOf));
  const lines: string[] = [];
  let drawn = 0;
  for (const row of rows) {
    const own = linesOf(row).length;
    lines.push(...drawing.lines.slice(drawn, drawn + own), ...pointer(row, drawing));
    drawn += own;
  }
  const shown = drawing.isExact
    ? lines
    : [...lines, '', '(a group takes more room here than there is time: what follows stands too late)'];
  return shown.map((line) => (line === '' ? line : INDENT + line));
}

/** Shows where the first thing in a row is wrong. */
function pointer(row: PlayedRow, { columnOf }: Drawing): readonly string[] {
  const [first] = complaintsOf(row);
  return first ? [`${' '.repeat(columnOf(first.atMs))}↑ ${time(first.atMs)}`] : [];
}

function complaintLines(rows: readonly PlayedRow[]): readonly string[] {
  const all = rows.flatMap((row) =>
    complaintsOf(row).map(({ atMs, lines: [first, ...more] }) => [`${row.name}, ${time(atMs)}: ${first ?? ''}`, ...more]),
  );
  const told = all.slice(0, MAX_COMPLAINTS).flat();
  return all.length > MAX_COMPLAINTS ? [...told, `and ${all.length - MAX_COMPLAINTS} more`] : told;
}

/** What the letters of the drawn rows stand for; rows that share a legend are named once. */
function legendLines(rows: readonly PlayedRow[]): readonly string[] {
  const legends = new Map<Legend, PlayedRow[]>();
  for (const row of rows) if (row.legend) legends.set(row.legend, [...(legends.get(row.legend) ?? []), row]);
  return Array.from(legends, ([legend, its]) => entryLines(legend, its)).flat();
}

function entryLines(legend: Legend, rows: readonly PlayedRow[]): readonly string[] {
  const used = new Set(rows.flatMap(linesOf).flatMap(({ marks }) => marks.map(({ letter }) => letter)));
  const names = [...new Set(rows.map(({ name }) => name))].join(', ');
  const entries = legend.entries.filter(({ letter, value }) => used.has(letter) && letter !== value);
  const lines = entries.map(
    ({ letter, value, isNamed }) => `${INDENT}${letter}  ${legend.describe(value)}${isNamed ? '' : '   (not in the legend)'}`,
  );
  return lines.length === 0 ? [] : [`${names}:`, ...lines];
}

/** A time as one says it. */
export function time(ms: number): string {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 60_000) return `${ms / 1000} s`;
  const minutes = Math.floor(ms / 60_000);
  return minutes < 60 ? `${minutes} min ${(ms % 60_000) / 1000} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
