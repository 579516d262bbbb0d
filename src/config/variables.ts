import { ALGORITHMS, LEAST_SECRET_BYTES } from '../auth/algorithms.js';
import { isNetworks, readNetworks } from '../http/address.js';
import { readOrigins } from '../http/origin.js';
import { LARGEST_MESSAGE_BYTES } from '../protocol/protocol.js';
import { heapLimitBytes } from '../runtime/memory.js';
import {
  anyText,
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

/** A timer that is set for longer fires at once. */
const MAX_MS = 2 ** 31 - 1;
const MAX_COUNT = 1_000_000_000;
const MAX_BYTES = 2 ** 40;
const QUARTER_OF_HEAP = Math.floor(heapLimitBytes() / 4);

const SERVERS = 'host:port, several with commas between';

/** Every environment variable of the service, by its name in `Config`, in the order of `--help`. */
export const VARIABLES = {
  redisUrl: redisUrl({
    name: 'REDIS_URL',
    default: 'redis://localhost:6379',
    meaning: 'where Redis is, with user and password; `memory:` is the in-process broker, one pod, no Redis',
  }),
  redisChannelPrefix: text({
    name: 'REDIS_CHANNEL_PREFIX',
    default: 'chat-api',
    read: prefix,
    allowed: '1 to 128 characters, none of them white space or a control character',
    meaning: 'the beginning of every channel name',
  }),
  redisClusterNodes: text({
    name: 'REDIS_CLUSTER_NODES',
    read: servers,
    allowed: SERVERS,
    meaning: 'servers of a Redis Cluster; user, password and TLS come from REDIS_URL, its host is not used',
  }),
  redisSentinels: text({
    name: 'REDIS_SENTINELS',
    read: servers,
    allowed: SERVERS,
    meaning:
      'sentinels that know the master REDIS_SENTINEL_NAME; user, password and TLS come from REDIS_URL, its host is not used',
  }),
  redisSentinelName: text({
    name: 'REDIS_SENTINEL_NAME',
    read: sentinelName,
    allowed: 'letters, digits, `.`, `-` and `_`',
    meaning: "the master's name in the configuration of the sentinels",
  }),
  authEnabled: flag({ name: 'AUTH_ENABLED', default: false, meaning: 'require a token of every client' }),
  authJwtSecret: text({
    name: 'AUTH_JWT_SECRET',
    read: secret,
    allowed: `at least ${LEAST_SECRET_BYTES} bytes`,
    meaning: 'the secret that tokens are signed with, taken literally; with authentication, either this or AUTH_JWKS_URL',
  }),
  authJwksUrl: text({
    name: 'AUTH_JWKS_URL',
    read: jwksUrl,
    allowed: 'an http: or https: URL without user, password and fragment',
    meaning: 'the JWKS (RFC 7517) with the public keys of tokens',
  }),
  authJwtIssuer: text({ name: 'AUTH_JWT_ISSUER', read: anyText, allowed: 'any text', meaning: 'what `iss` of a token must be' }),
  authJwtAudience: text({
    name: 'AUTH_JWT_AUDIENCE',
    read: list(() => true),
    allowed: 'a comma-separated list',
    meaning: 'one of these must be in `aud` of a token',
  }),
  authJwtAlgorithms: text({
    name: 'AUTH_JWT_ALGORITHMS',
    read: list((name) => ALGORITHMS.includes(name)),
    allowed: `a comma-separated list of ${ALGORITHMS.join(', ')}`,
    meaning: 'how tokens may be signed; unset: every algorithm that the secret is long enough for, or that a key of the JWKS has',
  }),
  allowedOrigins: text({
    name: 'ALLOWED_ORIGINS',
    default: '*',
    read: readOrigins,
    allowed: 'a comma-separated list like https://chat.example, or *',
    meaning: 'web pages that may connect; with authentication and unset, those of the same host',
    keeps: (given) => given === 'same-origin',
  }),
  host: text({
    name: 'HOST',
    default: '0.0.0.0',
    read: host,
    allowed: 'a host name or an address, without brackets and port',
    meaning: 'the address to listen on',
  }),
  port: integer({
    name: 'PORT',
    default: 8080,
    least: 0,
    most: 65535,
    meaning: 'the port to listen on; 0 takes a free one, which is logged',
  }),
  basePath: text({
    name: 'BASE_PATH',
    default: '/api/chat-api',
    read: basePath,
    allowed: 'a path that begins with a slash, as clients send it: percent-encoded, without `.` and `..`',
    meaning: 'the path before `/ws`; `/ws` alone is always served too',
  }),
  metricsPort: text({
    name: 'METRICS_PORT',
    read: metricsPort,
    allowed: 'an integer from 0 to 65535, or off',
    meaning: 'serves `/metrics` on this port instead; `off` for nowhere',
  }),
  trustProxy: text({
    name: 'TRUST_PROXY',
    read: readNetworks,
    allowed: 'a comma-separated list of networks like 10.0.0.0/8',
    meaning: 'proxies whose `X-Forwarded-For` and `X-Forwarded-Host` are believed',
    keeps: isNetworks,
  }),
  maxMessageBytes: integer({
    name: 'MAX_MESSAGE_BYTES',
    default: 65_536,
    least: 1,
    most: LARGEST_MESSAGE_BYTES,
    meaning: 'the largest message from a client',
  }),
  sendBufferMessages: integer({
    name: 'SEND_BUFFER_MESSAGES',
    default: 256,
    least: 1,
    most: MAX_COUNT,
    meaning: 'messages that may wait for one connection while its socket is full',
  }),
  sendBufferBytes: integer({
    name: 'SEND_BUFFER_BYTES',
    default: 17_039_360,
    least: 1,
    most: MAX_COUNT,
    meaning: 'the same in bytes',
  }),
  slowConsumerPolicy: oneOf({
    name: 'SLOW_CONSUMER_POLICY',
    default: 'disconnect',
    values: ['disconnect', 'drop-oldest'],
    meaning: 'what happens to a connection whose send buffer is full',
  }),
  publishWindow: integer({
    name: 'PUBLISH_WINDOW',
    default: 32,
    least: 1,
    most: MAX_COUNT,
    meaning: 'unconfirmed publishes per connection; beyond it the socket is not read',
  }),
  publishTimeoutMs: integer({
    name: 'PUBLISH_TIMEOUT_MS',
    default: 2000,
    least: 1,
    most: MAX_MS,
    meaning: 'how long Redis may take to confirm a publish',
  }),
  pingIntervalMs: integer({
    name: 'PING_INTERVAL_MS',
    default: 25_000,
    least: 1,
    most: MAX_MS,
    meaning: 'the time from one ping to the next',
  }),
  pongTimeoutMs: integer({
    name: 'PONG_TIMEOUT_MS',
    default: 60_000,
    least: 1,
    most: MAX_MS,
    meaning: 'a connection from which nothing arrives for this long is closed; more than PING_INTERVAL_MS',
  }),
  upgradeTimeoutMs: integer({
    name: 'UPGRADE_TIMEOUT_MS',
    default: 10_000,
    least: 1,
    most: MAX_MS,
    meaning: "how long the headers of a client's request may take, and then again the check of its token",
  }),
  maxConnections: integer({
    name: 'MAX_CONNECTIONS',
    default: 0,
    least: 0,
    most: MAX_COUNT,
    meaning: 'connections at once; 0 is no limit',
  }),
  maxConnectionsPerAddress: integer({
    name: 'MAX_CONNECTIONS_PER_ADDRESS',
    default: 0,
    least: 0,
    most: MAX_COUNT,
    meaning: 'connections at once of one address, or of one /64 network of IPv6; 0 is no limit',
  }),
  maxRooms: integer({
    name: 'MAX_ROOMS',
    default: 200_000,
    least: 1,
    most: MAX_COUNT,
    meaning: 'rooms with members on this pod at once; beyond it no new room can be joined',
  }),
  maxHeldBytes: integer({
    name: 'MAX_HELD_BYTES',
    default: QUARTER_OF_HEAP,
    least: 1,
    most: MAX_BYTES,
    meaning:
      'bytes of messages from all clients that may wait to be handled; at least MAX_MESSAGE_BYTES; by default a quarter of the heap limit',
  }),
  presenceMaxMembers: integer({
    name: 'PRESENCE_MAX_MEMBERS',
    default: 100,
    least: 0,
    most: MAX_COUNT,
    meaning: 'no presence is sent in rooms with more members than this; 0 turns presence off',
  }),
  shutdownDelayMs: integer({
    name: 'SHUTDOWN_DELAY_MS',
    default: 0,
    least: 0,
    most: MAX_MS,
    meaning: 'the time from `/readyz` saying 503 to the first close, for load balancers',
  }),
  shutdownTimeoutMs: integer({
    name: 'SHUTDOWN_TIMEOUT_MS',
    default: 10_000,
    least: 1,
    most: MAX_MS,
    meaning: 'the time for all closes',
  }),
  logLevel: oneOf({
    name: 'LOG_LEVEL',
    default: 'info',
    values: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    meaning: 'the least severe level that is logged',
  }),
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
 * Some of `Config`, each as a value or as the text of its variable: `{ port: 0, trustProxy: '10.0.0.0/8' }`. An absent one has its default.
 *
 * @interface
 */
export type Settings = { readonly [K in keyof Config]?: Config[K] | string | undefined };
