import { isIP } from 'node:net';

/** Where a server is, as `host:port`; the port stands behind the last colon, whatever the host. */
export type Server = string;

/** Where a Redis server is, and how a client logs in there: the parts of a `redis:` or `rediss:` URL, decoded. */
export interface RedisAddress {
  /** A name or an address; an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  /** Absent for Redis' default user. */
  readonly username?: string | undefined;
  /** Absent where Redis asks for none. */
  readonly password?: string | undefined;
  readonly tls: boolean;
}

const DEFAULT_PORT = 6379;
const SCHEMES: ReadonlyMap<string, boolean> = new Map([
  ['redis:', false],
  ['rediss:', true],
]);
const NO_DATABASE = 'no database number but 0, since databases share their channels; REDIS_CHANNEL_PREFIX separates services';
const NO_QUERY = 'no query and no fragment; a `?` or `#` of the password is percent-encoded';

/**
 * Reads a `redis:` or `rediss:` URL. Every part of it has an effect, or the URL is refused: ioredis never sees it, only the values.
 *
 * @returns what is allowed instead, where it is refused for a reason of its own; undefined where it is no such URL at all
 */
export function readRedisUrl(given: string): RedisAddress | { readonly allowed: string } | undefined {
  // URL removes white space and control characters from the text that it reads.
  if (/[\s\p{Cc}]/u.test(given)) return undefined;
  if (/^rediss?:.*[?#]/i.test(given)) return { allowed: NO_QUERY };
  if (!URL.canParse(given)) return undefined;
  const { protocol, hostname, port, pathname, username, password } = new URL(given);
  const tls = SCHEMES.get(protocol);
  const host = unbracketed(hostname);
  if (tls === undefined || !isHost(host)) return undefined;
  if (/^\/\d+$/.test(pathname) && Number(pathname.slice(1)) !== 0) return { allowed: NO_DATABASE };
  const login = readLogin(username, password);
  if (login === undefined || !/^\/?0*$/.test(pathname) || port === '0') return undefined;
  return Object.freeze({ host, port: port === '' ? DEFAULT_PORT : Number(port), ...login, tls });
}

/** Whether it is what `readRedisUrl` returns for a URL, or could be. */
export function isRedisAddress(given: unknown): given is RedisAddress {
  if (typeof given !== 'object' || given === null) return false;
  const { host, port, username, password, tls }: Partial<Record<keyof RedisAddress, unknown>> = given;
  const isTextOrAbsent = (part: unknown) => part === undefined || typeof part === 'string';
  const isPlace = typeof host === 'string' && isHost(host) && typeof port === 'number' && isPort(port);
  return isPlace && isTextOrAbsent(username) && isTextOrAbsent(password) && typeof tls === 'boolean';
}

/** @returns the server with an IPv6 address in brackets and its port without leading zeros; undefined where it is none */
export function readServer(given: string): Server | undefined {
  const [, name = '', port = ''] = /^([^:]+|\[[^\]]+\]):(\d{1,5})$/.exec(given) ?? [];
  const host = unbracketed(name);
  if (!isHost(host) || host.includes(':') === (host === name) || !isPort(Number(port))) return undefined;
  return `${name}:${Number(port)}`;
}

/** Another server with the same user, password and TLS. */
export function addressOf(server: Server, { username, password, tls }: RedisAddress): RedisAddress {
  const port = Number(server.slice(server.lastIndexOf(':') + 1));
  return { host: unbracketed(hostOf(server)), port, username, password, tls };
}

/** The same address for a server that knows no such user. */
export function withoutLogin({ host, port, tls }: RedisAddress): RedisAddress {
  return { host, port, tls };
}

export function hostOf(server: Server): string {
  return server.slice(0, server.lastIndexOf(':'));
}

/** A user without a password may log in with any: an empty one is sent. */
function readLogin(username: string, password: string): Pick<RedisAddress, 'username' | 'password'> | undefined {
  if (username === '' && password === '') return {};
  try {
    const decoded = decodeURIComponent(password);
    return username === '' ? { password: decoded } : { username: decodeURIComponent(username), password: decoded };
  } catch {
    return undefined;
  }
}

/** A host name, or an address; an IPv6 address without brackets. */
export function isHost(host: string): boolean {
  return host.includes(':') ? isIP(host) === 6 : /^[\w.-]+$/.test(host);
}

export function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port <= 65_535;
}

function unbracketed(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}
