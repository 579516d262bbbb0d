export { type Authorize, type Grant, type Identity, authorizeByClaims } from './authorize.js';
export { type Broker, type BrokerEvent, type BrokerStatus, type Gap, PublishError } from './broker.js';
export { memoryBroker } from './broker-memory.js';
export { redisBroker, type RedisBrokerOptions } from './broker-redis.js';
export { redisClusterBroker, type RedisClusterOptions } from './broker-redis-cluster.js';
export { type Config, ConfigError, readConfig } from './config.js';
export {
  type Close,
  type Effect,
  type Handler,
  type HandlerContext,
  type Publish,
  type Reply,
  close,
  handler,
  publish,
  reply,
} from './handler.js';
export { builtInHandlers } from './handlers/index.js';
export { type Logger, createLogger } from './log.js';
export { prometheusMetrics } from './metrics.js';
export {
  CloseCode,
  type ClientMessage,
  type Envelope,
  type ErrorCode,
  GLOBAL_ROOM,
  MAX_BAD_MESSAGES,
  MAX_DEPTH,
  MAX_ROOMS,
  SERVER_ID,
  SUBPROTOCOL,
} from './protocol.js';
export { type ChatServer, type ChatServerOptions, createChatServer } from './server.js';
export type { World } from './world.js';
export { nodeWorld } from './world-node.js';
