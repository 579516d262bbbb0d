import { allowedAlgorithms, secretBytes } from '../auth/algorithms.js';
import { pinsSlot } from '../redis/cluster/slots.js';
import { redact } from './redact.js';
import type { Variable } from './variable.js';
import { VARIABLES, type Config, type Settings } from './variables.js';

export type { Config, Settings };

/** A setting that cannot be used, in one line: its name, what was given, what is allowed. */
export class ConfigError extends Error {}

/**
 * Reads the configuration from environment variables. An empty variable counts as absent.
 *
 * @throws ConfigError for a bad value, or for two that contradict each other
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
 * @throws ConfigError, which names each setting by its variable
 */
export function checkConfig(settings: Settings): Config {
  for (const key of Object.keys(settings)) if (!Object.hasOwn(VARIABLES, key)) throw new ConfigError(`${key} is not a setting`);
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
  if (value === undefined) throw invalid(variable, text);
  return value;
}

/** The value as a text of its variable. */
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

/** Allows one Redis, or sentinels, or a cluster, and no variable that would have no effect. */
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
    // With a hash tag, all rooms would be on one server, and no canary would reach the others.
    if (pinsSlot(redisChannelPrefix))
      refuse('REDIS_CHANNEL_PREFIX', redisChannelPrefix, 'no hash tag, {…}, while REDIS_CLUSTER_NODES is set');
  }
  if (redisSentinelName === undefined) refuse('REDIS_SENTINELS', sentinels, 'nothing without REDIS_SENTINEL_NAME');
  if (sentinels === undefined) refuse('REDIS_SENTINEL_NAME', redisSentinelName, 'nothing without REDIS_SENTINELS');
}

function refuse(name: string, given: string | undefined, allowed: string): void {
  if (given !== undefined) throw new ConfigError(`${name} is "${given}"; allowed: ${allowed}`);
}

/** A deployment that sets anything about tokens means to require them, unless it also says `AUTH_ENABLED=false`. */
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

function invalid({ name, allowed, instead }: Variable<unknown>, given: string): ConfigError {
  return new ConfigError(`${name} is ${JSON.stringify(redact(name, given))}; allowed: ${instead?.(given) ?? allowed}`);
}
