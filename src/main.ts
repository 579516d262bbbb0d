#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { config as rxjsConfig } from 'rxjs';
import { configuredBroker } from './broker-configured.js';
import { ConfigError, describeConfig, readConfig, type Config } from './config.js';
import { builtInHandlers } from './handlers/index.js';
import { createLogger } from './log.js';
import { boundHeapGrowth } from './memory.js';
import { prometheusMetrics } from './metrics.js';
import { createChatServer } from './server.js';
import { nodeWorld as world } from './world-node.js';

const BAD_USAGE = 2;
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

const [, , option, ...others] = process.argv;
if (option === '--help' && others.length === 0) print(`${usage()}\n\nEnvironment variables (default):\n${describeConfig()}`);
else if (option === '--version' && others.length === 0) print(version());
else if (option === undefined) start();
else complain(`${process.argv.slice(2).join(' ')} is no option; ${usage()}`);

function start(): void {
  try {
    serve(readConfig(process.env));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    complain(error.message);
  }
}

function serve(config: Config): void {
  boundHeapGrowth();
  const log = createLogger(config.logLevel);
  // A subscription without an error handler is a bug, but no reason to drop everybody.
  rxjsConfig.onUnhandledError = (error) => {
    log.error({ err: error as unknown }, 'unhandled error in a stream');
  };
  // Neither is a promise that nobody waited for, which would end the process.
  process.on('unhandledRejection', (error) => {
    log.error({ err: error }, 'unhandled rejection');
  });
  const metrics = prometheusMetrics();
  const server = createChatServer({
    config,
    handlers: builtInHandlers,
    broker: configuredBroker(config, { world, metrics, log }),
    world,
    metrics,
    log,
  });
  const fail = (error: unknown) => {
    log.fatal({ err: error }, 'failed');
    process.exit(1);
  };
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      // The first signal asks, the second insists.
      for (const again of Object.keys(SIGNALS)) process.removeAllListeners(again).on(again, () => process.exit(code));
      server.close().then(() => process.exit(0), fail);
    });
  }
  server.listen().catch(fail);
}

function usage(): string {
  return 'usage: chat-api [--help | --version]';
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  return version;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function complain(text: string): void {
  process.stderr.write(`chat-api: ${text}\n`);
  process.exitCode = BAD_USAGE;
}
