import type { Observable } from 'rxjs';
import type { Runtime } from '../runtime/runtime.js';
import { compare, expectedOf, type Came, type Expected } from './diagram/comparison.js';
import { failureOf, time, type PlayedRow } from './diagram/failure.js';
import { Legend } from './diagram/legend.js';
import { MarbleError } from './diagram/marble-error.js';
import { ERROR, readDiagram, type Row } from './diagram/rows.js';
import { compareSubscriptions, type SubscriptionLog } from './diagram/subscription-log.js';
import { Strays } from './strays.js';
import { Stubs } from './stubs.js';
import { Timeline, VirtualScheduler } from './virtual-scheduler.js';
import { virtualRuntime } from './virtual-runtime.js';

/** What a test makes its subject with: virtual time, and streams that stand for the runtime outside. */
export interface Kit {
  /** Time, ids and dice of the test. */
  readonly runtime: Runtime;
  /**
   * A stream that a row of the diagram gives, whoever subscribes to it and when.
   *
   * @param name of the row
   * @param values what the row's letters stand for; absent: themselves
   * @param error what `#` stands for
   */
  readonly hot: <T = string>(name: string, values?: Readonly<Record<string, T>>, error?: unknown) => Observable<T>;
  /**
   * A stream that begins anew with each subscription, as a request does. A row of its name in the diagram says when it
   * is subscribed to: `^` and `!`.
   *
   * @param marbles from the subscription on
   * @param values what the letters stand for; absent: themselves
   * @param error what `#` stands for
   */
  readonly cold: <T = string>(
    name: string,
    marbles: string,
    values?: Readonly<Record<string, T>>,
    error?: unknown,
  ) => Observable<T>;
}

/** A row that makes something happen. */
interface Input {
  readonly legend: Legend;
  /** Characters that are no letters in it. */
  readonly marks: string;
  readonly take: (what: Expected) => void;
}

/** A row that is held against what came. */
interface Output {
  readonly legend: Legend;
  readonly marks: string;
  /** What `#` should bear; undefined for whatever it does. */
  readonly error: unknown;
  readonly came: Came[];
}

/** What came in a row, as it comes. */
export interface Recording {
  readonly value: (value: unknown) => void;
  readonly mark: (mark: string, value?: unknown) => void;
}

/** After so many steps without an end, something goes on for good. */
const MAX_STEPS = 100_000;

/** A diagram being played: what its rows make happen in virtual time, and what came of that. */
export class VirtualTest {
  readonly runtime: Runtime;
  readonly kit: Kit;
  /** What the dice show. */
  chance = 0.5;
  /** Timers that go on for good, and need no end. */
  background: () => number = () => 0;
  /** What may be the reason where a row does not come true. */
  readonly hints: string[] = [];
  readonly #scheduler = new VirtualScheduler(0);
  /** What is tested has timers of its own, which are not those of the rows. */
  readonly #timeline = new Timeline(this.#scheduler);
  readonly #rows = new Timeline(this.#scheduler);
  readonly #stubs = new Stubs(this.#timeline);
  readonly #inputs = new Map<string, Input>();
  readonly #outputs = new Map<string, Output>();
  readonly #logs = new Map<string, SubscriptionLog>();
  readonly #families = new Map<string, (word: string) => SubscriptionLog>();
  readonly #strays: Strays;
  readonly #faults = new Set<string>();
  #isOver = false;

  constructor(strays: Strays) {
    this.#strays = strays;
    this.runtime = { ...virtualRuntime(this.#timeline), random: () => this.chance };
    const stubs = this.#stubs;
    this.kit = {
      runtime: this.runtime,
      // The legend holds values of whatever type its caller says.
      hot: <T>(...stub: Parameters<Stubs['makeHot']>) => stubs.makeHot(...stub) as Observable<T>,
      cold: <T>(...stub: Parameters<Stubs['makeCold']>) => stubs.makeCold(...stub) as Observable<T>,
    };
  }

  get nowMs(): number {
    return this.#scheduler.now();
  }

  /** There may be a row that makes something happen. */
  input(name: string, input: Input): void {
    this.#inputs.set(name, input);
  }

  /** There may be a row that says what comes. */
  output(name: string, legend: Legend, marks = '', error?: unknown): Recording {
    const came: Came[] = [];
    this.#outputs.set(name, { legend, marks, error, came });
    const note = (one: Omit<Came, 'atMs'>) => {
      if (!this.#isOver) came.push({ atMs: this.nowMs, ...one });
    };
    return {
      value: (value) => {
        note({ value });
      },
      mark: (mark, value) => {
        if (mark === ERROR && !this.#isOver) this.hints.push(`# at ${time(this.nowMs)} is ${String(value)}`);
        note({ mark, value });
      },
    };
  }

  /** There may be rows that say when something is subscribed to. */
  subscriptions(name: string, log: SubscriptionLog): void {
    this.#logs.set(name, log);
  }

  /**
   * There may be rows that say when something is subscribed to, whose names begin alike and end with a word that tells which.
   */
  subscriptionsOf(beginning: string, logOf: (word: string) => SubscriptionLog): void {
    this.#families.set(beginning, logOf);
  }

  /**
   * Reads the diagram.
   *
   * @param needs rows one of which has to be there, or else the test would hold nothing
   * @throws MarbleError where the rows make no sense
   */
  read(diagram: string, needs: string): readonly Row[] {
    const rows = readDiagram(diagram, this.#names, [...this.#families.keys()]);
    const names = rows.map(({ name }) => name);
    if (!names.some((name) => name === needs || name.endsWith(` ${needs}`))) {
      throw new MarbleError(`the diagram expects nothing: it has no row "${needs}"`);
    }
    const twice = names.find((name, nth) => names.indexOf(name) < nth && (this.#inputs.has(name) || this.#outputs.has(name)));
    if (twice !== undefined) throw new MarbleError(`there are two rows "${twice}"`);
    return rows;
  }

  /**
   * Plays rows to their end, and as long after it as something is still due.
   *
   * @param end ends what is tested
   * @throws MarbleError where they do not come true
   */
  play(title: string, rows: readonly Row[], end: () => void): void {
    for (const row of rows) this.#schedule(row);
    this.#pass(Math.max(...rows.map(({ lengthMs }) => lengthMs)));
    const held = this.#hold(rows);
    this.#isOver = true;
    end();
    this.ended();
    const faults = [...this.#faults, ...this.#strays.settle()];
    const failure = failureOf({ title, rows: held, hints: this.hints, faults });
    if (failure) throw failure;
  }

  /** What is tested has ended, and may have left nothing behind. */
  ended(): void {
    const { pending } = this.#timeline;
    if (pending > 0)
      this.wrong(pending === 1 ? 'after its end a timer is still running' : `after its end ${pending} timers are still running`);
    for (const name of this.#stubs.open) this.wrong(`after its end ${name} is still subscribed to`);
  }

  /** Something is wrong, whatever the rows say. */
  wrong(what: string): void {
    this.#faults.add(what);
  }

  /** Lets time pass, as the diagram does at its end. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    while (this.#scheduler.step(untilMs));
    this.#scheduler.pass(untilMs);
  }

  get #names(): readonly string[] {
    return [...this.#inputs.keys(), ...this.#outputs.keys(), ...this.#logs.keys()];
  }

  #schedule(row: Row): void {
    const input = this.#inputs.get(row.name);
    if (input) this.#scheduleInput(row, input);
    else if (!this.#isHeld(row.name)) this.#scheduleHot(row);
  }

  #scheduleInput(row: Row, input: Input): void {
    for (const what of expectedOf(row, input)) {
      this.#rows.schedule(() => {
        input.take(what);
      }, what.atMs);
    }
  }

  #scheduleHot({ name, marks }: Row): void {
    for (const mark of marks) {
      this.#rows.schedule(() => {
        this.#stubs.give(name, mark);
      }, mark.atMs);
    }
  }

  #isHeld(name: string): boolean {
    return this.#outputs.has(name) || this.#logOf(name) !== undefined;
  }

  #pass(lengthMs: number): void {
    this.pass(lengthMs);
    for (let steps = 0; this.#timeline.pending > this.background(); steps++) {
      if (steps === MAX_STEPS)
        throw new MarbleError(`it goes on and on: at ${time(this.nowMs)} it is still not over; end it with "!"`);
      this.#scheduler.step(Infinity);
    }
  }

  #hold(rows: readonly Row[]): readonly PlayedRow[] {
    const names = new Set(rows.map(({ name }) => name));
    return [...names].flatMap((name) =>
      this.#holdRows(
        name,
        rows.filter((row) => row.name === name),
      ),
    );
  }

  #holdRows(name: string, rows: readonly Row[]): readonly PlayedRow[] {
    const log = this.#logOf(name);
    if (log) return compareSubscriptions(rows, log.intervals).map((played) => ({ name, played }));
    const input = this.#inputs.get(name) ?? this.#stubs.hot.get(name);
    if (input) return rows.map(({ marks }) => ({ name, legend: input.legend, played: marks }));
    const output = this.#outputs.get(name);
    if (output === undefined) throw new MarbleError(`there is nothing for row "${name}"; rows: ${this.#names.join(', ')}`);
    const { legend } = output;
    return rows.map((row) => ({ name, legend, played: compare(expectedOf(row, output), output.came, legend) }));
  }

  /** When that was subscribed to which has rows of this name. */
  #logOf(name: string): SubscriptionLog | undefined {
    const log = this.#logs.get(name) ?? this.#stubs.cold.get(name);
    if (log) return log;
    for (const [beginning, logOf] of this.#families) if (name.startsWith(beginning)) return logOf(name.slice(beginning.length));
    return undefined;
  }
}

/**
 * Makes and plays a test with nothing real about it.
 *
 * @param caller the function that a failure's stack should not show
 * @throws MarbleError where the test does not come true
 */
export function virtualTest<T>(caller: (...parameters: never) => unknown, play: (strays: Strays) => T): T {
  const strays = new Strays();
  return strays.guard(() => {
    try {
      return play(strays);
    } catch (error) {
      // The line to look at is that of the test.
      if (error instanceof MarbleError) Error.captureStackTrace(error, caller);
      throw error;
    }
  });
}
