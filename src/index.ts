export { type Authorize, type Grant, type Identity, authorizeByClaims } from './auth/grant.js';
export { type Broker, type BrokerEvent, type BrokerStatus, type Gap, PublishError, RoomRefusedError } from './broker/broker.js';
export type { Networks } from './http/address.js';
export { memoryBroker } from './broker/memory.js';
export { redisBroker, type RedisBrokerOptions } from './redis/broker.js';
export type { RedisAddress } from './redis/address.js';
export { redisClusterBroker, type RedisClusterOptions } from './redis/cluster/cluster-broker.js';
export { type Config, ConfigError, type Settings, readConfig } from './config/config.js';
export {
  type Cause,
  type Close,
  type Effect,
  type Transform,
  type Join,
  type Leave,
  type Publish,
  type Reply,
  close,
  transform,
  join,
  leave,
  publish,
  reply,
} from './handlers/effect.js';
export { type HandledMessage, type Handler, type HandlerContext, type HandlerOptions, handler } from './handlers/handler.js';
export { builtInHandlers } from './handlers/built-in/index.js';
export { type Logger, type LogLine, createLogger, silentLogger } from './runtime/log.js';
export { type Rejection, reject } from './handlers/rejection.js';
export {
  type Metrics,
  type MetricsOptions,
  type PublishOutcome,
  type ScrapedMetrics,
  prometheusMetrics,
} from './runtime/metrics.js';
export { type PerMessageOptions, perMessage } from './handlers/per-message.js';
export type { OutboundTransform } from './connection/context.js';
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
} from './protocol/protocol.js';
export type { Publication } from './broker/broker.js';
export { type ChatServer, type ChatServerOptions, createChatServer } from './server/server.js';
export type { Runtime } from './runtime/runtime.js';
export { nodeRuntime } from './runtime/node-runtime.js';
export { type Handle, type Middleware, middleware } from './handlers/middleware.js';
