/**
 * `chat-api/testing`: tests for extensions. It needs no test runner, no socket and no Redis: a failed test throws.
 */
export { type ContractCase, type ContractSetup, type Outage, brokerContract } from './brokerContract.js';
export { Including, including } from './diagram/difference.js';
export { envelope } from './envelope.js';
export type { HandlerLegend } from './handler-test.js';
export { type Closed, type Heard, closed, error, gap, joined, left, offline, online, shutdown, welcome } from './heard.js';
export { MarbleError } from './diagram/marble-error.js';
export type { Logged } from './recording-logger.js';
export type { TestReport } from './report.js';
export type { Said, SaidMessage } from './said.js';
export { type ConnectionOptions, type Conversation, testConversation } from './testConversation.js';
export { testHandler } from './testHandler.js';
export { type OperatorLegend, testOperator } from './testOperator.js';
export { type MiddlewareLegend, testMiddleware } from './testMiddleware.js';
export type { Kit } from './virtual-test.js';
export { virtualRuntime } from './virtual-runtime.js';
