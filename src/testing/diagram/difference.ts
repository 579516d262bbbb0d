/** Stands for any object that has these members, and maybe others. */
export class Including {
  readonly members: object;
  /** Whether there may be another member of that name. */
  readonly isFree: (name: string) => boolean;

  constructor(members: object, isFree: (name: string) => boolean = () => true) {
    this.members = members;
    this.isFree = isFree;
  }
}

/**
 * In an expected value: an object of which only the members named here are compared, each of them whole.
 *
 * @example
 * hears: { w: { type: 'system', data: including({ event: 'welcome' }) } }
 */
export function including(members: object): Including {
  return new Including(members);
}

/** One place where two values differ. */
export interface Difference {
  /** The way there, as one would write it: `data.list[1]`; empty where the values themselves differ. */
  readonly path: string;
  readonly expected: unknown;
  readonly actual: unknown;
}

/** Values that hold themselves would be compared forever. */
const MAX_DEPTH = 100;

/**
 * Where two values differ: none where they are the same. A member that is undefined is one that is absent, as in JSON; an
 * `Including` in the expected value compares what it names.
 */
export function differences(expected: unknown, actual: unknown, path = '', levels = MAX_DEPTH): readonly Difference[] {
  if (Object.is(expected, actual)) return [];
  const pairs = levels === 0 ? undefined : pairsOf(expected, actual);
  if (pairs === undefined) return [{ path, expected, actual }];
  return pairs.flatMap(([at, one, other]) => differences(one, other, `${path}${at}`.replace(/^\./, ''), levels - 1));
}

type Pair = readonly [at: string, expected: unknown, actual: unknown];

/** What two values of the same kind hold, side by side; undefined where they are of different kinds, or hold nothing. */
function pairsOf(expected: unknown, actual: unknown): readonly Pair[] | undefined {
  if (!isObject(expected) || !isObject(actual)) return undefined;
  if (expected instanceof Including) return isIterable(actual) ? undefined : includingPairs(expected, actual);
  if (Object.getPrototypeOf(expected) !== Object.getPrototypeOf(actual)) return undefined;
  if (isIterable(expected) && isIterable(actual)) return listPairs([...expected], [...actual]);
  return [...valuePairs(expected, actual), ...memberPairs(expected, actual)];
}

/** What is no member of an object and yet makes it what it is. */
function valuePairs(expected: object, actual: object): readonly Pair[] {
  if (expected instanceof Error && actual instanceof Error) return [['.message', expected.message, actual.message]];
  if (expected instanceof Date && actual instanceof Date) return [['', expected.getTime(), actual.getTime()]];
  return [];
}

function includingPairs({ members, isFree }: Including, actual: object): readonly Pair[] {
  const others = Object.keys(actual).filter((name) => !isFree(name));
  return pairsAt(new Set([...Object.keys(members), ...others]), members, actual);
}

function memberPairs(expected: object, actual: object): readonly Pair[] {
  return pairsAt(new Set([...Object.keys(expected), ...Object.keys(actual)]), expected, actual);
}

function pairsAt(names: ReadonlySet<string>, expected: object, actual: object): readonly Pair[] {
  const member = (of: object, name: string) => (Object.hasOwn(of, name) ? (of as Record<string, unknown>)[name] : undefined);
  return Array.from(names, (name) => [`.${name}`, member(expected, name), member(actual, name)]);
}

function listPairs(expected: readonly unknown[], actual: readonly unknown[]): readonly Pair[] {
  const length = Math.max(expected.length, actual.length);
  return Array.from({ length }, (_, at) => [`[${at}]`, expected[at], actual[at]]);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** Arrays, bytes, sets and maps. */
function isIterable(value: object): value is Iterable<unknown> {
  return Symbol.iterator in value;
}
