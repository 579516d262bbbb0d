import { Observable, type MonoTypeOperatorFunction } from 'rxjs';
import { compare, type Compared, type Expected } from './comparison.js';
import { Legend } from './legend.js';
import { MarbleError } from './marble-error.js';
import { BEGIN, END, type Mark, type Row } from './rows.js';

/** From when to when something was subscribed to; it may go on. */
interface Interval {
  readonly fromMs: number;
  untilMs?: number;
}

/** When an Observable was subscribed to, as rows of `^` and `!`. */
export class SubscriptionLog {
  readonly #intervals: Interval[] = [];
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** How many subscriptions go on. */
  get open(): number {
    return this.#intervals.filter(({ untilMs }) => untilMs === undefined).length;
  }

  /** Notes when it is subscribed to. */
  begin(): { readonly end: () => void } {
    const interval: Interval = { fromMs: this.#now() };
    this.#intervals.push(interval);
    return {
      end: () => {
        interval.untilMs ??= this.#now();
      },
    };
  }

  /** Notes each subscription to a source. */
  noted<T>(): MonoTypeOperatorFunction<T> {
    return (source) =>
      new Observable((subscriber) => {
        const { end } = this.begin();
        subscriber.add(source.subscribe(subscriber));
        subscriber.add(end);
      });
  }

  /** What it knows now; it does not change later. */
  get intervals(): readonly Readonly<Interval>[] {
    return this.#intervals.map((interval) => ({ ...interval }));
  }
}

/** Holds subscriptions against rows; those that overlap need a row each. */
export function compareSubscriptions(rows: readonly Row[], actual: readonly Readonly<Interval>[]): readonly Compared[] {
  const [wanted, came] = [inLines(rows.flatMap(intervalsOf)), inLines(actual)];
  const legend = new Legend({});
  return Array.from({ length: Math.max(wanted.length, came.length, 1) }, (_, nth) =>
    compare(marksOf(wanted[nth] ?? []), marksOf(came[nth] ?? []), legend),
  );
}

function intervalsOf({ name, marks }: Row): readonly Interval[] {
  const intervals: Interval[] = [];
  for (const { atMs, letter } of marks) {
    const last = intervals.at(-1);
    const isOpen = last !== undefined && last.untilMs === undefined;
    if (letter === BEGIN && !isOpen) intervals.push({ fromMs: atMs });
    else if (letter === END && isOpen) last.untilMs = atMs;
    else throw new MarbleError(`row ${name}: "${letter}" at ${atMs} ms; subscriptions are ^ and ! by turns`);
  }
  return intervals;
}

/** Puts intervals one after the other where they don't overlap, in as few lines as that takes. */
function inLines(intervals: readonly Interval[]): readonly (readonly Interval[])[] {
  const lines: Interval[][] = [];
  for (const interval of intervals.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const line = lines.find((one) => (one.at(-1)?.untilMs ?? Infinity) <= interval.fromMs);
    if (line) line.push(interval);
    else lines.push([interval]);
  }
  return lines;
}

function marksOf(line: readonly Interval[]): readonly Expected[] {
  const marks = line.flatMap(({ fromMs, untilMs }): Mark[] => [
    { atMs: fromMs, letter: BEGIN },
    ...(untilMs === undefined ? [] : [{ atMs: untilMs, letter: END }]),
  ]);
  return marks.map((mark) => ({ ...mark, mark: mark.letter }));
}
