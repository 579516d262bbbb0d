import { LEAST_SECRET_BYTES } from '../auth/algorithms.js';
import { byteLength } from '../protocol/protocol.js';
import { isHost, isRedisAddress, readRedisUrl, readServer, type RedisAddress } from '../redis/address.js';

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
  /** What is allowed instead of a text that `read` refuses, where more can be said than `allowed`. */
  readonly instead?: ((text: string) => string | undefined) | undefined;
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

/** Where Redis is: a variable that is a value of several parts, or the in-process broker. */
export function redisUrl(name: string, fallback: string, meaning: string): Variable<RedisAddress | 'memory:'> {
  return {
    name,
    default: fallback,
    allowed: 'a redis:, rediss: or memory: URL',
    meaning,
    read: (given) => {
      if (given === 'memory:') return given;
      const address = readRedisUrl(given);
      return isRedisAddress(address) ? address : undefined;
    },
    keeps: isRedisAddress,
    instead: (given) => {
      const refusal = readRedisUrl(given);
      return refusal !== undefined && 'allowed' in refusal ? refusal.allowed : undefined;
    },
  };
}

/** Comma-separated; each counts once. */
export function servers(given: string): readonly string[] | undefined {
  const all = given.split(',').map((server) => readServer(server.trim()));
  const read = all.filter((server) => server !== undefined);
  return read.length === all.length ? [...new Set(read)] : undefined;
}

export function sentinelName(given: string): string | undefined {
  return /^[\w.-]+$/.test(given) ? given : undefined;
}

export function host(given: string): string | undefined {
  return isHost(given) ? given : undefined;
}

/** A surrogate without its other half would be another channel once it is written. */
export function prefix(given: string): string | undefined {
  return given.length <= 128 && /^[^\s\p{Cc}\p{Cs}]+$/u.test(given) ? given : undefined;
}

/** Clients resolve `.` and `..`, and encode what may not stand in a path, before they send it: a path that they change is never asked for. */
export function basePath(given: string): string | undefined {
  if (given === '') return given;
  const url = `http://host${given}`;
  const isSentSo = given.startsWith('/') && URL.canParse(url) && new URL(url).pathname === given;
  return isSentSo ? given.replace(/\/+$/, '') : undefined;
}

export function any(given: string): string {
  return given;
}

export function secret(given: string): string | undefined {
  return byteLength(given) >= LEAST_SECRET_BYTES ? given : undefined;
}

export function jwksUrl(given: string): string | undefined {
  // URL drops white space, and takes the path for the host where that is empty.
  if (!/^https?:\/\/[^/?]/i.test(given) || /[\s\p{Cc}\\#]/u.test(given) || !URL.canParse(given)) return undefined;
  const { username, password, port } = new URL(given);
  return username === '' && password === '' && port !== '0' ? given : undefined;
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
