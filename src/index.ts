export { type Authorize, type Grant, type Identity, authorizeByClaims } from './entrance/authorize.js';
export { type Broker, type BrokerEvent, type BrokerStatus, type Gap, PublishError, RoomRefusedError } from './broker/broker.js';
export type { Networks } from './entrance/address.js';
export { memoryBroker } from './broker/memory.js';
export { redisBroker, type RedisBrokerOptions } from './redis/broker.js';
export type { RedisAddress } from './redis/server.js';
export { redisClusterBroker, type RedisClusterOptions } from './redis/cluster-broker.js';
export { type Config, ConfigError, type Settings, readConfig } from './config.js';
export {
  type Cause,
  type Close,
  type Effect,
  type Hear,
  type Join,
  type Leave,
  type Publish,
  type Reply,
  close,
  hear,
  join,
  leave,
  publish,
  reply,
} from './handling/effect.js';
export { type HandledMessage, type Handler, type HandlerContext, type HandlerOptions, handler } from './handling/handler.js';
export { builtInHandlers } from './handlers/index.js';
export { type Logger, type LogLine, createLogger, silentLogger } from './log.js';
export { type Rejection, reject } from './handling/message.js';
export { type Metrics, type MetricsOptions, type ScrapedMetrics, prometheusMetrics } from './metrics.js';
export { type PerMessageOptions, perMessage } from './handling/per-message.js';
export type { Hearing } from './pod.js';
export {
  CloseCode,
  type ClientMessage,
  type Envelope,
  ERROR_CODES,
  type ErrorCode,
  GLOBAL_ROOM,
  MAX_BAD_MESSAGES,
  MAX_DEPTH,
  MAX_ROOMS,
  SERVER_ID,
  SUBPROTOCOL,
} from './protocol.js';
export type { Publication } from './hub/publication.js';
export { type ChatServer, type ChatServerOptions, createChatServer } from './server.js';
export type { World } from './world.js';
export { nodeWorld } from './world-node.js';
export { type Handle, type Wrap, wrap } from './handling/wrap.js';
