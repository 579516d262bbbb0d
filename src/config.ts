/** A variable of the environment: how its text is read, and what `--help` says of it. */
interface Variable<T> {
  readonly name: string;
  readonly default: string | undefined;
  /** What is allowed, for the error and the help. */
  readonly allowed: string;
  readonly meaning: string;
  /** The value, or undefined where the text is none. */
  readonly read: (text: string) => T | undefined;
}

/** setTimeout fires at once beyond this. */
const MAX_MS = 2 ** 31 - 1;
const MAX_COUNT = 1_000_000_000;
const MAX_MESSAGE = 16 * 1024 * 1024;

const VARIABLES = {
  redisUrl: text(
    'REDIS_URL',
    'redis://localhost:6379',
    redisUrl,
    'a redis:, rediss: or memory: URL',
    'where Redis is; `memory:` is the in-process broker, one pod, no Redis',
  ),
  redisChannelPrefix: text(
    'REDIS_CHANNEL_PREFIX',
    'chat-api',
    prefix,
    '1 to 128 characters, none of them white space',
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
  authEnabled: notYet('AUTH_ENABLED', 'false', 'authentication'),
  authJwtSecret: notYet('AUTH_JWT_SECRET', undefined, 'authentication'),
  authJwksUrl: notYet('AUTH_JWKS_URL', undefined, 'authentication'),
  authJwtIssuer: notYet('AUTH_JWT_ISSUER', undefined, 'authentication'),
  authJwtAudience: notYet('AUTH_JWT_AUDIENCE', undefined, 'authentication'),
  authJwtAlgorithms: notYet('AUTH_JWT_ALGORITHMS', undefined, 'authentication'),
  allowedOrigins: notYet('ALLOWED_ORIGINS', '*', 'a list of origins'),
  host: text('HOST', '0.0.0.0', host, 'a host name or address', 'where to listen'),
  port: integer('PORT', 8080, 0, 65535, 'the port to listen on; 0 takes a free one, which is logged'),
  basePath: text(
    'BASE_PATH',
    '/api/chat-api',
    basePath,
    'a path that begins with a slash',
    'what stands before `/ws`; without it is always served too',
  ),
  metricsPort: text(
    'METRICS_PORT',
    undefined,
    metricsPort,
    'an integer from 0 to 65535, or off',
    'serves `/metrics` there instead; `off` for nowhere',
  ),
  trustProxy: notYet('TRUST_PROXY', undefined, 'proxies'),
  maxMessageBytes: integer('MAX_MESSAGE_BYTES', 65_536, 1, MAX_MESSAGE, 'the largest message from a client'),
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
  upgradeTimeoutMs: integer('UPGRADE_TIMEOUT_MS', 10_000, 1, MAX_MS, "for the headers of a client's request"),
  maxConnections: integer('MAX_CONNECTIONS', 0, 0, MAX_COUNT, 'connections at once; 0 is no limit'),
  maxConnectionsPerAddress: notYet('MAX_CONNECTIONS_PER_ADDRESS', '0', 'a limit per address'),
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

/** Every limit and address of the service, checked and frozen; units are in the names. Spec: "Limits and configuration". */
export type Config = { readonly [K in keyof Variables]: Read<Variables[K]> };

/** A variable whose value makes no sense, in one line: its name, what was given, what is allowed. */
export class ConfigError extends Error {}

/**
 * Reads the configuration; an empty variable is an absent one.
 *
 * @throws ConfigError for a bad value, or two that contradict each other
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const entries = Object.entries(VARIABLES).map(([key, variable]) => [key, readVariable(variable, environment[variable.name])]);
  const config = Object.freeze(Object.fromEntries(entries) as Config);
  checkTogether(config);
  return config;
}

/** The table of variables, for `--help`. */
export function describeConfig(): string {
  return Object.values(VARIABLES)
    .map(({ name, default: fallback, allowed, meaning }) => `  ${name} (${fallback ?? 'unset'})\n      ${meaning}; ${allowed}`)
    .join('\n');
}

function readVariable(variable: Variable<unknown>, given: string | undefined): unknown {
  const text = given === undefined || given === '' ? variable.default : given;
  if (text === undefined) return undefined;
  const value = variable.read(text);
  if (value === undefined) throw complaint(variable, text);
  return value;
}

function checkTogether(config: Config): void {
  const { pingIntervalMs, pongTimeoutMs, metricsPort, port } = config;
  checkRedis(config);
  if (pingIntervalMs >= pongTimeoutMs) {
    throw new ConfigError(
      `PING_INTERVAL_MS is "${pingIntervalMs}"; allowed: less than PONG_TIMEOUT_MS, which is "${pongTimeoutMs}"`,
    );
  }
  if (port !== 0 && metricsPort === port) {
    throw new ConfigError(`METRICS_PORT is "${port}"; allowed: another port than PORT`);
  }
}

/** One Redis, or sentinels, or a cluster; and nothing that would be left unused. */
function checkRedis({ redisUrl, redisClusterNodes, redisSentinels, redisSentinelName }: Config): void {
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
    if (!/^\/?0?$/.test(new URL(redisUrl).pathname))
      refuse('REDIS_CLUSTER_NODES', nodes, 'nothing while REDIS_URL names a database');
  }
  if (redisSentinelName === undefined) refuse('REDIS_SENTINELS', sentinels, 'nothing without REDIS_SENTINEL_NAME');
  if (sentinels === undefined) refuse('REDIS_SENTINEL_NAME', redisSentinelName, 'nothing without REDIS_SENTINELS');
}

function refuse(name: string, given: string | undefined, allowed: string): void {
  if (given !== undefined) throw new ConfigError(`${name} is "${given}"; allowed: ${allowed}`);
}

function complaint({ name, allowed }: Variable<unknown>, given: string): ConfigError {
  // This line goes to a log: what stands before an @ may be a password.
  const shown = name.includes('SECRET') ? '***' : given.replace(/(\/\/|:).*@/s, '$1***@');
  return new ConfigError(`${name} is ${JSON.stringify(shown)}; allowed: ${allowed}`);
}

function text<T, D extends string | undefined>(
  name: string,
  fallback: D,
  read: (text: string) => T | undefined,
  allowed: string,
  meaning: string,
): Variable<D extends string ? T : T | undefined> {
  return { name, default: fallback, allowed, meaning, read };
}

function integer(name: string, fallback: number, least: number, most: number, meaning: string): Variable<number> {
  return {
    name,
    default: String(fallback),
    allowed: `an integer from ${least} to ${most}`,
    meaning,
    read: (given) => readInteger(given, least, most),
  };
}

function oneOf<const T extends string>(name: string, fallback: T, values: readonly T[], meaning: string): Variable<T> {
  return {
    name,
    default: fallback,
    allowed: `one of ${values.join(', ')}`,
    meaning,
    read: (given) => values.find((value) => value === given),
  };
}

/** Known, but not to be had yet: any value but the default stops the process rather than being ignored. */
function notYet(name: string, fallback: string | undefined, what: string): Variable<string | undefined> {
  const allowed = fallback === undefined ? 'nothing' : `"${fallback}"`;
  return {
    name,
    default: fallback,
    allowed: `${allowed}: ${what} is not supported yet`,
    meaning: `${what}, not supported yet`,
    read: (given) => (given === fallback ? given : undefined),
  };
}

function readInteger(given: string, least: number, most: number): number | undefined {
  if (!/^\d{1,15}$/.test(given)) return undefined;
  const value = Number(given);
  return value >= least && value <= most ? value : undefined;
}

function redisUrl(given: string): string | undefined {
  if (given === 'memory:') return given;
  if (!URL.canParse(given)) return undefined;
  const { protocol, hostname, pathname } = new URL(given);
  return ['redis:', 'rediss:'].includes(protocol) && hostname !== '' && /^(\/\d*)?$/.test(pathname) ? given : undefined;
}

function servers(given: string): readonly string[] | undefined {
  const all = given.split(',').map((server) => server.trim());
  return all.every(isServer) ? all : undefined;
}

function isServer(given: string): boolean {
  const [, name, port] = /^([\w.-]+|\[[\da-fA-F:.]+\]):(\d{1,5})$/.exec(given) ?? [];
  return name !== undefined && port !== undefined && Number(port) > 0 && Number(port) <= 65_535;
}

function sentinelName(given: string): string | undefined {
  return /^[\w.-]+$/.test(given) ? given : undefined;
}

function host(given: string): string | undefined {
  return /^[\w.:-]+(%\w+)?$/.test(given) ? given : undefined;
}

function prefix(given: string): string | undefined {
  return given.length <= 128 && /^\S+$/.test(given) ? given : undefined;
}

function basePath(given: string): string | undefined {
  return /^\/[^?#\s]*$/.test(given) ? given.replace(/\/+$/, '') : undefined;
}

function metricsPort(given: string): number | 'off' | undefined {
  return given === 'off' ? given : readInteger(given, 0, 65535);
}
