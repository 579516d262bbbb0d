import { LEAST_SECRET_BYTES } from './entrance/algorithms.js';
import { byteLength } from './protocol.js';

/** A variable of the environment: how its text is read, and what `--help` says of it. */
export interface Variable<T> {
  readonly name: string;
  readonly default: string | undefined;
  /** What is allowed, for the error and the help. */
  readonly allowed: string;
  readonly meaning: string;
  /** The value, or undefined where the text is none. */
  readonly read: (text: string) => T | undefined;
  /** What is a value already and has no text that could be read again. */
  readonly keeps?: ((given: unknown) => boolean) | undefined;
}

export function text<T, D extends string | undefined>(
  name: string,
  fallback: D,
  read: (text: string) => T | undefined,
  allowed: string,
  meaning: string,
  keeps?: (given: unknown) => boolean,
): Variable<D extends string ? T : T | undefined> {
  return { name, default: fallback, allowed, meaning, read, keeps };
}

export function flag(name: string, fallback: boolean, meaning: string): Variable<boolean> {
  const read = (given: string) => (given === 'true' ? true : given === 'false' ? false : undefined);
  return { name, default: String(fallback), allowed: 'true or false', meaning, read };
}

export function integer(name: string, fallback: number, least: number, most: number, meaning: string): Variable<number> {
  return {
    name,
    default: String(fallback),
    allowed: `an integer from ${least} to ${most}`,
    meaning,
    read: (given) => readInteger(given, least, most),
  };
}

export function oneOf<const T extends string>(name: string, fallback: T, values: readonly T[], meaning: string): Variable<T> {
  return {
    name,
    default: fallback,
    allowed: `one of ${values.join(', ')}`,
    meaning,
    read: (given) => values.find((value) => value === given),
  };
}

function readInteger(given: string, least: number, most: number): number | undefined {
  if (!/^\d{1,15}$/.test(given)) return undefined;
  const value = Number(given);
  return value >= least && value <= most ? value : undefined;
}

export function redisUrl(given: string): string | undefined {
  if (given === 'memory:') return given;
  if (!URL.canParse(given)) return undefined;
  const { protocol, hostname, pathname } = new URL(given);
  return ['redis:', 'rediss:'].includes(protocol) && hostname !== '' && /^(\/\d*)?$/.test(pathname) ? given : undefined;
}

export function servers(given: string): readonly string[] | undefined {
  const all = given.split(',').map((server) => server.trim());
  return all.every(isServer) ? all : undefined;
}

function isServer(given: string): boolean {
  const [, name, port] = /^([\w.-]+|\[[\da-fA-F:.]+\]):(\d{1,5})$/.exec(given) ?? [];
  return name !== undefined && port !== undefined && Number(port) > 0 && Number(port) <= 65_535;
}

export function sentinelName(given: string): string | undefined {
  return /^[\w.-]+$/.test(given) ? given : undefined;
}

export function host(given: string): string | undefined {
  return /^[\w.:-]+(%\w+)?$/.test(given) ? given : undefined;
}

export function prefix(given: string): string | undefined {
  return given.length <= 128 && /^\S+$/.test(given) ? given : undefined;
}

export function basePath(given: string): string | undefined {
  return given === '' || /^\/[^?#\s]*$/.test(given) ? given.replace(/\/+$/, '') : undefined;
}

export function any(given: string): string {
  return given;
}

export function secret(given: string): string | undefined {
  return byteLength(given) >= LEAST_SECRET_BYTES ? given : undefined;
}

export function jwksUrl(given: string): string | undefined {
  if (!/^https?:\/\//.test(given) || !URL.canParse(given)) return undefined;
  const { username, password } = new URL(given);
  return username === '' && password === '' ? given : undefined;
}

/** Comma-separated; white space around an item does not count. */
export function list(isItem: (item: string) => boolean): (given: string) => readonly string[] | undefined {
  return (given) => {
    const items = given.split(',').map((item) => item.trim());
    return items.every((item) => item !== '' && isItem(item)) ? items : undefined;
  };
}

export function metricsPort(given: string): number | 'off' | undefined {
  return given === 'off' ? given : readInteger(given, 0, 65535);
}
