import type { Broker } from '../broker/broker.js';
import { memoryBroker } from '../broker/memory.js';
import { redisBroker, type RedisBrokerOptions } from '../redis/broker.js';
import { redisClusterBroker } from '../redis/cluster/cluster-broker.js';
import type { Config } from '../config/config.js';

/** Makes the broker that the configuration names. */
export function configuredBroker(
  config: Config,
  parts: Pick<RedisBrokerOptions, 'runtime' | 'metrics' | 'log' | 'connect'>,
): Broker {
  const {
    redisUrl: address,
    redisClusterNodes,
    redisSentinels,
    redisSentinelName,
    redisChannelPrefix,
    publishTimeoutMs,
  } = config;
  if (address === 'memory:') return memoryBroker();
  const options = { address, channelPrefix: redisChannelPrefix, timeoutMs: publishTimeoutMs, ...parts };
  if (redisClusterNodes) return redisClusterBroker({ ...options, servers: redisClusterNodes });
  if (redisSentinels === undefined || redisSentinelName === undefined) return redisBroker(options);
  return redisBroker({ ...options, sentinel: { servers: redisSentinels, master: redisSentinelName } });
}
