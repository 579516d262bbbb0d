import { isNetworks } from '../http/address.js';
import { isRedisAddress, type RedisAddress } from '../redis/address.js';
import { VARIABLES, type Config } from './variables.js';

/** @returns the text without a password: that stands before an `@`, or in the query of a URL */
export function redact(name: string, given: string): string {
  if (name.includes('SECRET')) return '***';
  const shown = given.replace(/^([\w+.-]+:\/\/)?.*@/s, '$1***@');
  if (!name.endsWith('_URL')) return shown;
  // An `@` after a `?` or `#` does not tell where the password ends.
  return /[?#].*@/s.test(given) ? given.replace(/^([\w+.-]+:\/\/)?.*/s, '$1***') : shown.replace(/([?#]).*/s, '$1***');
}

/** @returns the configuration as it may stand in a log: every variable that has a value, by its name, without secrets */
export function redactedConfig(config: Config): Readonly<Record<string, unknown>> {
  const values: Readonly<Record<string, unknown>> = config;
  return Object.fromEntries(
    Object.entries(VARIABLES)
      .filter(([key]) => values[key] !== undefined)
      .map(([key, { name }]) => [name, shown(name, values[key])]),
  );
}

function shown(name: string, value: unknown): unknown {
  if (isRedisAddress(value)) return redact(name, urlOf(value));
  if (isNetworks(value)) return String(value);
  return typeof value === 'string' ? redact(name, value) : value;
}

function urlOf({ host, port, username, password, tls }: RedisAddress): string {
  const login = username === undefined && password === undefined ? '' : '***@';
  return `${tls ? 'rediss' : 'redis'}://${login}${host.includes(':') ? `[${host}]` : host}:${port}`;
}
