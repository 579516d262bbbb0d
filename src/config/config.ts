import { isNetworks, readNetworks } from '../http/address.js';
import { ALGORITHMS, LEAST_SECRET_BYTES, allowedAlgorithms, secretBytes } from '../auth/algorithms.js';
import { readOrigins } from '../http/origin.js';
import { heapLimitBytes } from '../runtime/memory.js';
import { LARGEST_MESSAGE_BYTES } from '../protocol/protocol.js';
import { pinsSlot } from '../redis/cluster/slots.js';
import {
  any,
  basePath,
  flag,
  host,
  integer,
  jwksUrl,
  list,
  metricsPort,
  oneOf,
  prefix,
  redisUrl,
  secret,
  sentinelName,
  servers,
  text,
  type Variable,
} from './variable.js';

/** setTimeout fires at once beyond this. */
const MAX_MS = 2 ** 31 - 1;
const MAX_COUNT = 1_000_000_000;
const MAX_BYTES = 2 ** 40;
const QUARTER_OF_HEAP = Math.floor(heapLimitBytes() / 4);

const VARIABLES = {
  redisUrl: redisUrl(
    'REDIS_URL',
    'redis://localhost:6379',
    'where Redis is, with user and password; `memory:` is the in-process broker, one pod, no Redis',
  ),
  redisChannelPrefix: text(
    'REDIS_CHANNEL_PREFIX',
    'chat-api',
    prefix,
    '1 to 128 characters, none of them white space or a control character',
    'what channel names begin with',
  ),
  redisClusterNodes: text(
    'REDIS_CLUSTER_NODES',
    undefined,
    servers,
    'host:port, several with commas between',
    'servers of a Redis Cluster; user, password and TLS come from REDIS_URL, its host is not used',
  ),
  redisSentinels: text(
    'REDIS_SENTINELS',
    undefined,
    servers,
    'host:port, several with commas between',
    'sentinels that know the master REDIS_SENTINEL_NAME; user, password and TLS come from REDIS_URL, its host is not used',
  ),
  redisSentinelName: text(
    'REDIS_SENTINEL_NAME',
    undefined,
    sentinelName,
    'letters, digits, `.`, `-` and `_`',
    'what the sentinels call the master',
  ),
  authEnabled: flag('AUTH_ENABLED', false, 'require a token of whoever connects'),
  authJwtSecret: text(
    'AUTH_JWT_SECRET',
    undefined,
    secret,
    `at least ${LEAST_SECRET_BYTES} bytes`,
    'what tokens are signed with, as it stands; with authentication, either this or AUTH_JWKS_URL',
  ),
  authJwksUrl: text(
    'AUTH_JWKS_URL',
    undefined,
    jwksUrl,
    'an http: or https: URL without user, password and fragment',
    'where the public keys of tokens are (RFC 7517)',
  ),
  authJwtIssuer: text('AUTH_JWT_ISSUER', undefined, any, 'any text', 'what `iss` of a token must be'),
  authJwtAudience: text(
    'AUTH_JWT_AUDIENCE',
    undefined,
    list(() => true),
    'a comma-separated list',
    'one of these must be in `aud` of a token',
  ),
  authJwtAlgorithms: text(
    'AUTH_JWT_ALGORITHMS',
    undefined,
    list((name) => ALGORITHMS.includes(name)),
    `a comma-separated list of ${ALGORITHMS.join(', ')}`,
    'how tokens may be signed; unset: in every way that the secret is long enough for, or with any of the keys',
  ),
  allowedOrigins: text(
    'ALLOWED_ORIGINS',
    '*',
    readOrigins,
    'a comma-separated list like https://chat.example, or *',
    'web pages that may connect; with authentication and unset, those of the same host',
    (given) => given === 'same-origin',
  ),
  host: text('HOST', '0.0.0.0', host, 'a host name or an address, without brackets and port', 'where to listen'),
  port: integer('PORT', 8080, 0, 65535, 'the port to listen on; 0 takes a free one, which is logged'),
  basePath: text(
    'BASE_PATH',
    '/api/chat-api',
    basePath,
    'a path that begins with a slash, as clients send it: percent-encoded, without `.` and `..`',
    'what stands before `/ws`; without it is always served too',
  ),
  metricsPort: text(
    'METRICS_PORT',
    undefined,
    metricsPort,
    'an integer from 0 to 65535, or off',
    'serves `/metrics` there instead; `off` for nowhere',
  ),
  trustProxy: text(
    'TRUST_PROXY',
    undefined,
    readNetworks,
    'a comma-separated list of networks like 10.0.0.0/8',
    'proxies whose `X-Forwarded-For` and `X-Forwarded-Host` are believed',
    isNetworks,
  ),
  maxMessageBytes: integer('MAX_MESSAGE_BYTES', 65_536, 1, LARGEST_MESSAGE_BYTES, 'the largest message from a client'),
  sendBufferMessages: integer(
    'SEND_BUFFER_MESSAGES',
    256,
    1,
    MAX_COUNT,
    'messages that may wait for one connection while its socket is full',
  ),
  sendBufferBytes: integer('SEND_BUFFER_BYTES', 17_039_360, 1, MAX_COUNT, 'the same in bytes'),
  slowConsumerPolicy: oneOf(
    'SLOW_CONSUMER_POLICY',
    'disconnect',
    ['disconnect', 'drop-oldest'],
    'what happens to a connection whose send buffer is full',
  ),
  publishWindow: integer(
    'PUBLISH_WINDOW',
    32,
    1,
    MAX_COUNT,
    'unconfirmed publishes per connection; beyond it the socket is not read',
  ),
  publishTimeoutMs: integer('PUBLISH_TIMEOUT_MS', 2000, 1, MAX_MS, 'how long Redis may take to confirm a publish'),
  pingIntervalMs: integer('PING_INTERVAL_MS', 25_000, 1, MAX_MS, 'from one ping to the next'),
  pongTimeoutMs: integer(
    'PONG_TIMEOUT_MS',
    60_000,
    1,
    MAX_MS,
    'a connection that says nothing for so long is dead; more than PING_INTERVAL_MS',
  ),
  upgradeTimeoutMs: integer(
    'UPGRADE_TIMEOUT_MS',
    10_000,
    1,
    MAX_MS,
    "for the headers of a client's request, and again for its token's check",
  ),
  maxConnections: integer('MAX_CONNECTIONS', 0, 0, MAX_COUNT, 'connections at once; 0 is no limit'),
  maxConnectionsPerAddress: integer(
    'MAX_CONNECTIONS_PER_ADDRESS',
    0,
    0,
    MAX_COUNT,
    'connections at once of one address, or of one /64 network of IPv6; 0 is no limit',
  ),
  maxRooms: integer(
    'MAX_ROOMS',
    200_000,
    1,
    MAX_COUNT,
    'rooms with members on this pod at once; beyond it nobody enters a new one',
  ),
  maxHeldBytes: integer(
    'MAX_HELD_BYTES',
    QUARTER_OF_HEAP,
    1,
    MAX_BYTES,
    'bytes of messages from all clients that may wait to be handled; at least MAX_MESSAGE_BYTES; by default a quarter of the heap limit',
  ),
  presenceMaxMembers: integer(
    'PRESENCE_MAX_MEMBERS',
    100,
    0,
    MAX_COUNT,
    'larger rooms are not told who comes and goes; 0 tells none',
  ),
  shutdownDelayMs: integer('SHUTDOWN_DELAY_MS', 0, 0, MAX_MS, 'from `/readyz` saying 503 to the first close, for load balancers'),
  shutdownTimeoutMs: integer('SHUTDOWN_TIMEOUT_MS', 10_000, 1, MAX_MS, 'for all closes'),
  logLevel: oneOf('LOG_LEVEL', 'info', ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'what is logged'),
};

type Variables = typeof VARIABLES;
type Read<V> = V extends Variable<infer T> ? T : never;

/**
 * Every limit and address of the service, checked and frozen; units are in the names. The README's table says what each means, under
 * the name of its variable: `pingIntervalMs` is `PING_INTERVAL_MS`.
 *
 * @interface
 */
export type Config = { readonly [K in keyof Variables]: Read<Variables[K]> };

/**
 * Some of `Config`, each as a value or as the text of its variable: `{ port: 0, trustProxy: '10.0.0.0/8' }`. What is absent has its default.
 *
 * @interface
 */
export type Settings = { readonly [K in keyof Config]?: Config[K] | string | undefined };

/** What the service was given makes no sense, in one line: its name, what was given, what is allowed. */
export class ConfigError extends Error {}

/**
 * Reads the configuration from environment variables; an empty one is an absent one.
 *
 * @throws ConfigError for a bad value, or two that contradict each other
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const texts = Object.entries(VARIABLES).map(([key, { name }]) => [
    key,
    environment[name] === '' ? undefined : environment[name],
  ]);
  return checkConfig(Object.fromEntries(texts) as Settings);
}

/**
 * Checks settings as `readConfig` does, and fills in the defaults.
 *
 * @throws ConfigError, which calls each by the name of its variable
 */
export function checkConfig(settings: Settings): Config {
  for (const key of Object.keys(settings)) if (!Object.hasOwn(VARIABLES, key)) throw new ConfigError(`${key} is no setting`);
  const given: Readonly<Record<string, unknown>> = settings;
  const entries = Object.entries(VARIABLES).map(([key, variable]) => [key, readVariable(variable, given[key])]);
  const config = Object.fromEntries(entries) as Config;
  checkTogether(config);
  if (config.authEnabled) checkAuth(config);
  else checkNoAuth(settings);
  const sameOrigin = config.authEnabled && settings.allowedOrigins === undefined;
  return Object.freeze(sameOrigin ? { ...config, allowedOrigins: 'same-origin' } : config);
}

/** The table of variables, for `--help`. */
export function describeConfig(): string {
  return Object.values(VARIABLES)
    .map(({ name, default: fallback, allowed, meaning }) => `  ${name} (${fallback ?? 'unset'})\n      ${meaning}; ${allowed}`)
    .join('\n');
}

function readVariable(variable: Variable<unknown>, given: unknown): unknown {
  if (variable.keeps?.(given)) return given;
  const text = given === undefined ? variable.default : textOf(given);
  if (text === undefined) return undefined;
  const value = variable.read(text);
  if (value === undefined) throw complaint(variable, text);
  return value;
}

/** As it would stand in the environment. */
function textOf(given: unknown): string {
  return Array.isArray(given) ? given.join() : String(given);
}

function checkTogether(config: Config): void {
  const { pingIntervalMs, pongTimeoutMs, metricsPort, port, maxMessageBytes, maxHeldBytes } = config;
  checkRedis(config);
  if (pingIntervalMs >= pongTimeoutMs) {
    throw new ConfigError(
      `PING_INTERVAL_MS is "${pingIntervalMs}"; allowed: less than PONG_TIMEOUT_MS, which is "${pongTimeoutMs}"`,
    );
  }
  if (port !== 0 && metricsPort === port) {
    throw new ConfigError(`METRICS_PORT is "${port}"; allowed: another port than PORT`);
  }
  if (maxHeldBytes < maxMessageBytes) {
    throw new ConfigError(
      `MAX_HELD_BYTES is "${maxHeldBytes}"; allowed: at least MAX_MESSAGE_BYTES, which is "${maxMessageBytes}"`,
    );
  }
}

/** One Redis, or sentinels, or a cluster; and nothing that would be left unused. */
function checkRedis({ redisUrl, redisChannelPrefix, redisClusterNodes, redisSentinels, redisSentinelName }: Config): void {
  const nodes = redisClusterNodes?.join();
  const sentinels = redisSentinels?.join();
  if (redisUrl === 'memory:') {
    refuse('REDIS_CLUSTER_NODES', nodes, 'nothing while REDIS_URL is "memory:"');
    refuse('REDIS_SENTINELS', sentinels, 'nothing while REDIS_URL is "memory:"');
    refuse('REDIS_SENTINEL_NAME', redisSentinelName, 'nothing while REDIS_URL is "memory:"');
  }
  if (nodes !== undefined) {
    refuse('REDIS_SENTINELS', sentinels, 'nothing while REDIS_CLUSTER_NODES is set');
    refuse('REDIS_SENTINEL_NAME', redisSentinelName, 'nothing while REDIS_CLUSTER_NODES is set');
    // All rooms would be at one server, and the others could not be proven alive.
    if (pinsSlot(redisChannelPrefix))
      refuse('REDIS_CHANNEL_PREFIX', redisChannelPrefix, 'no hash tag, {…}, while REDIS_CLUSTER_NODES is set');
  }
  if (redisSentinelName === undefined) refuse('REDIS_SENTINELS', sentinels, 'nothing without REDIS_SENTINEL_NAME');
  if (sentinels === undefined) refuse('REDIS_SENTINEL_NAME', redisSentinelName, 'nothing without REDIS_SENTINELS');
}

function refuse(name: string, given: string | undefined, allowed: string): void {
  if (given !== undefined) throw new ConfigError(`${name} is "${given}"; allowed: ${allowed}`);
}

/** Who says anything of tokens means to be protected. Who says false as well has been heard. */
function checkNoAuth(settings: Settings): void {
  if (settings.authEnabled !== undefined) return;
  const given: Readonly<Record<string, unknown>> = settings;
  const said = Object.entries(VARIABLES).find(([key, { name }]) => name.startsWith('AUTH_') && given[key] !== undefined);
  if (said) throw new ConfigError(`AUTH_ENABLED is unset; allowed: true or false, where ${said[1].name} is set`);
}

function checkAuth({ authJwtSecret, authJwksUrl, authJwtAlgorithms }: Config): void {
  if ((authJwtSecret === undefined) === (authJwksUrl === undefined)) {
    const how = authJwtSecret === undefined ? 'neither is' : 'both are';
    throw new ConfigError(`AUTH_ENABLED is "true"; allowed: with one of AUTH_JWT_SECRET and AUTH_JWKS_URL set, and ${how}`);
  }
  const algorithms = allowedAlgorithms(secretBytes(authJwtSecret), authJwtAlgorithms);
  if (!('unfit' in algorithms)) return;
  const { unfit, leastBytes } = algorithms;
  if (authJwtSecret === undefined) {
    throw new ConfigError(`AUTH_JWT_ALGORITHMS has "${unfit}"; allowed: what the keys of AUTH_JWKS_URL can sign`);
  }
  if (leastBytes === undefined) {
    throw new ConfigError(`AUTH_JWT_ALGORITHMS has "${unfit}"; allowed: what AUTH_JWT_SECRET can sign: HS256, HS384, HS512`);
  }
  throw new ConfigError(
    `AUTH_JWT_SECRET is "***"; allowed: at least ${leastBytes} bytes, as ${unfit} of AUTH_JWT_ALGORITHMS wants`,
  );
}

function complaint({ name, allowed, instead }: Variable<unknown>, given: string): ConfigError {
  return new ConfigError(`${name} is ${JSON.stringify(masked(name, given))}; allowed: ${instead?.(given) ?? allowed}`);
}

/** The text as it may stand in a log, without what may be a password: that is in front of an `@`, or in the query of a URL. */
function masked(name: string, given: string): string {
  if (name.includes('SECRET')) return '***';
  const shown = given.replace(/^([\w+.-]+:\/\/)?.*@/s, '$1***@');
  if (!name.endsWith('_URL')) return shown;
  // An `@` behind a `?` or `#` does not tell where the password ends.
  return /[?#].*@/s.test(given) ? given.replace(/^([\w+.-]+:\/\/)?.*/s, '$1***') : shown.replace(/([?#]).*/s, '$1***');
}
