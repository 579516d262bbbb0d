import { LEAST_SECRET_BYTES } from '../auth/algorithms.js';
import { byteLength } from '../protocol/protocol.js';
import { isHost, isRedisAddress, readRedisUrl, readServer, type RedisAddress } from '../redis/address.js';

/** An environment variable: how its text is read, and what `--help` says about it. */
export interface Variable<T> {
  readonly name: string;
  readonly default: string | undefined;
  /** The texts that are allowed, for the error and for `--help`. */
  readonly allowed: string;
  readonly meaning: string;
  /** @returns the value; undefined for a text that is not allowed */
  readonly read: (text: string) => T | undefined;
  /** Whether this is a value already, of a kind that has no text to read it from again. */
  readonly keeps?: ((given: unknown) => boolean) | undefined;
  /** @returns what is allowed instead of a text that `read` refuses, where more can be said than `allowed` */
  readonly instead?: ((text: string) => string | undefined) | undefined;
}

interface TextOptions<T, D extends string | undefined> extends Pick<
  Variable<T>,
  'name' | 'allowed' | 'meaning' | 'read' | 'keeps'
> {
  readonly default?: D;
}

export function text<T, D extends string | undefined = undefined>(
  options: TextOptions<T, D>,
): Variable<D extends string ? T : T | undefined> {
  return { ...options, default: options.default };
}

interface FlagOptions {
  readonly name: string;
  readonly default: boolean;
  readonly meaning: string;
}

export function flag({ name, default: fallback, meaning }: FlagOptions): Variable<boolean> {
  const read = (given: string) => (given === 'true' ? true : given === 'false' ? false : undefined);
  return { name, default: String(fallback), allowed: 'true or false', meaning, read };
}

interface IntegerOptions {
  readonly name: string;
  readonly default: number;
  readonly least: number;
  readonly most: number;
  readonly meaning: string;
}

export function integer({ name, default: fallback, least, most, meaning }: IntegerOptions): Variable<number> {
  const allowed = `an integer from ${least} to ${most}`;
  return { name, default: String(fallback), allowed, meaning, read: (given) => readInteger(given, least, most) };
}

interface OneOfOptions<T extends string> {
  readonly name: string;
  readonly default: NoInfer<T>;
  readonly values: readonly T[];
  readonly meaning: string;
}

export function oneOf<const T extends string>({ values, ...options }: OneOfOptions<T>): Variable<T> {
  const read = (given: string) => values.find((value) => value === given);
  return { ...options, allowed: `one of ${values.join(', ')}`, read };
}

function readInteger(given: string, least: number, most: number): number | undefined {
  if (!/^\d{1,15}$/.test(given)) return undefined;
  const value = Number(given);
  return value >= least && value <= most ? value : undefined;
}

/** Where Redis is, or the in-process broker. */
export function redisUrl(
  options: Pick<Variable<RedisAddress>, 'name' | 'default' | 'meaning'>,
): Variable<RedisAddress | 'memory:'> {
  return {
    ...options,
    allowed: 'a redis:, rediss: or memory: URL',
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

/** Comma-separated servers, without duplicates. */
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

/** A lone surrogate is refused: written as UTF-8, it would name another channel. */
export function prefix(given: string): string | undefined {
  return given.length <= 128 && /^[^\s\p{Cc}\p{Cs}]+$/u.test(given) ? given : undefined;
}

/** Clients resolve `.` and `..` and percent-encode a path before they send it, so a path that they would change is refused. */
export function basePath(given: string): string | undefined {
  if (given === '') return given;
  const url = `http://host${given}`;
  const isSentSo = given.startsWith('/') && URL.canParse(url) && new URL(url).pathname === given;
  return isSentSo ? given.replace(/\/+$/, '') : undefined;
}

export function anyText(given: string): string {
  return given;
}

export function secret(given: string): string | undefined {
  return byteLength(given) >= LEAST_SECRET_BYTES ? given : undefined;
}

export function jwksUrl(given: string): string | undefined {
  // `URL` drops white space, and takes the first part of the path for the host where the host is empty.
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
