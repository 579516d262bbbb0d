import { isIP } from 'node:net';

/** The address of a server, as `host:port`; the port follows the last colon. */
export type Server = string;

/** A Redis server and the login there: the parts of a `redis:` or `rediss:` URL, decoded. */
export interface RedisAddress {
  /** A host name or an IP address; an IPv6 address has no brackets. */
  readonly host: string;
  readonly port: number;
  /** Absent for the default user of Redis. */
  readonly username?: string | undefined;
  /** Absent if Redis requires none. */
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
 * Reads a `redis:` or `rediss:` URL. A URL with a part that would have no effect is refused. ioredis gets the values, never the URL.
 *
 * @returns the address; the rule that the URL breaks, if there is a specific one; undefined if it is no such URL
 */
export function readRedisUrl(given: string): RedisAddress | { readonly allowed: string } | undefined {
  // `URL` would remove white space and control characters.
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

/** Whether `readRedisUrl` could have returned it. */
export function isRedisAddress(given: unknown): given is RedisAddress {
  if (typeof given !== 'object' || given === null) return false;
  const { host, port, username, password, tls }: Partial<Record<keyof RedisAddress, unknown>> = given;
  const isTextOrAbsent = (part: unknown) => part === undefined || typeof part === 'string';
  const isServer = typeof host === 'string' && isHost(host) && typeof port === 'number' && isPort(port);
  return isServer && isTextOrAbsent(username) && isTextOrAbsent(password) && typeof tls === 'boolean';
}

/** @returns the server, its port without leading zeros; an IPv6 address has to be in brackets; undefined if it is no server */
export function readServer(given: string): Server | undefined {
  const [, name = '', port = ''] = /^([^:]+|\[[^\]]+\]):(\d{1,5})$/.exec(given) ?? [];
  const host = unbracketed(name);
  if (!isHost(host) || host.includes(':') === (host === name) || !isPort(Number(port))) return undefined;
  return `${name}:${Number(port)}`;
}

/** The address of another server with the same login and TLS. */
export function addressOf(server: Server, { username, password, tls }: RedisAddress): RedisAddress {
  const port = Number(server.slice(server.lastIndexOf(':') + 1));
  return { host: unbracketed(hostOf(server)), port, username, password, tls };
}

/** The same address without the login. */
export function withoutLogin({ host, port, tls }: RedisAddress): RedisAddress {
  return { host, port, tls };
}

export function hostOf(server: Server): string {
  return server.slice(0, server.lastIndexOf(':'));
}

/** An empty password is sent for a user without one, which Redis accepts with any password. */
function readLogin(username: string, password: string): Pick<RedisAddress, 'username' | 'password'> | undefined {
  if (username === '' && password === '') return {};
  try {
    const decoded = decodeURIComponent(password);
    return username === '' ? { password: decoded } : { username: decodeURIComponent(username), password: decoded };
  } catch {
    return undefined;
  }
}

/** A host name or an IP address; an IPv6 address has no brackets. */
export function isHost(host: string): boolean {
  return host.includes(':') ? isIP(host) === 6 : /^[\w.-]+$/.test(host);
}

export function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port <= 65_535;
}

function unbracketed(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}
