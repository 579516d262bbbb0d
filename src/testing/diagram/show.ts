import { Including } from './difference.js';

/** What is longer is cut: a failure is to be read. */
const MAX_TEXT = 60;
const MAX_SHOWN = 240;
const MAX_DEPTH = 6;

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/** A value as one would write it in a test, in one line, without members that are undefined; what is long is cut short. */
export function show(value: unknown): string {
  const shown = written(value, MAX_DEPTH);
  return shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)}…` : shown;
}

function written(value: unknown, levels: number): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return value.name === '' ? 'a function' : value.name;
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (levels === 0) return '…';
  return writtenObject(value, levels - 1);
}

function writtenObject(value: object, levels: number): string {
  if (value instanceof Including) return members(value.members, levels, ['…']);
  const all = (values: Iterable<unknown>) => Array.from(values, (one) => written(one, levels)).join(', ');
  if (Array.isArray(value)) return `[${all(value)}]`;
  if (ArrayBuffer.isView(value)) return `${classOf(value)} of ${value.byteLength} bytes`;
  if (value instanceof Set) return `Set(${all(value)})`;
  if (value instanceof Map)
    return `Map(${Array.from(value, ([key, of]) => `${written(key, levels)} → ${written(of, levels)}`).join(', ')})`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Date(invalid)' : `Date(${value.toISOString()})`;
  return `${classOf(value)} ${members(value, levels)}`.trimStart();
}

function members(value: object, levels: number, more: readonly string[] = []): string {
  const present = Object.entries(value).filter(([, member]) => member !== undefined);
  const all = present.map(([name, member]) => `${IDENTIFIER.test(name) ? name : quoted(name)}: ${written(member, levels)}`);
  return all.length + more.length === 0 ? '{}' : `{ ${[...all, ...more].join(', ')} }`;
}

/** The class of an object that has one of its own. */
function classOf(value: object): string {
  const prototype = Object.getPrototypeOf(value) as { readonly constructor?: { readonly name?: string } } | null;
  return prototype === null || prototype === Object.prototype ? '' : (prototype.constructor?.name ?? '');
}

/** A text in quotes; one that is too long is cut, and its length told. */
export function quoted(text: string): string {
  const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  const escaped = JSON.stringify(cut);
  const inQuotes = cut.includes("'") ? escaped : `'${escaped.slice(1, -1).replaceAll('\\"', '"')}'`;
  return cut === text ? inQuotes : `${inQuotes} (${text.length} characters)`;
}
