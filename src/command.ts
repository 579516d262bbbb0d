import { config as rxjsConfig } from 'rxjs';
import { ConfigError, describeConfig, readConfig, type Config } from './config/config.js';
import { misspeltVariables } from './config/misspelt.js';
import { createLogger, type Logger } from './runtime/log.js';
import { setUpCollector } from './runtime/memory.js';
import { packageVersion } from './runtime/version.js';
import { createChatServer } from './server/server.js';

const BAD_USAGE = 2;

/** Receives the function that stops the service gracefully, once there is a service. */
export type OnStoppable = (stop: () => void) => void;

/** Runs the command line. */
export function run([option, ...others]: readonly string[], onStoppable: OnStoppable): void {
  if (option === '--help' && others.length === 0) print(`${usage()}\n\nEnvironment variables (default):\n${describeConfig()}`);
  else if (option === '--version' && others.length === 0) print(packageVersion());
  else if (option === undefined) start(onStoppable);
  else usageError(`${[option, ...others].join(' ')} is not an option; ${usage()}`);
}

function start(onStoppable: OnStoppable): void {
  try {
    serve(readConfig(process.env), onStoppable);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    usageError(error.message);
  }
}

/** Runs `createChatServer` as a process of its own. */
function serve(config: Config, onStoppable: OnStoppable): void {
  setUpCollector();
  const logger = createLogger(config.logLevel);
  for (const { name, meant } of misspeltVariables(process.env))
    logger.warn({ variable: name, meant }, 'unknown environment variable');
  const server = createChatServer({ config, logger });
  const exit = (event: string) => (error: unknown) => {
    logger.fatal({ err: error }, event);
    // With the log off, an operator still has to learn why there is no service.
    if (config.logLevel === 'silent') printError(String(error));
    process.exit(1);
  };
  stayUp(logger);
  onStoppable(() => {
    server.close().then(() => process.exit(0), exit('failed to stop'));
  });
  server.listen().catch(exit('failed to start'));
}

function stayUp(logger: Logger): void {
  // A subscription without an error handler is a bug, but no reason to end the process and drop all connections.
  rxjsConfig.onUnhandledError = (error) => {
    logger.error({ err: error as unknown }, 'unhandled error in a stream');
  };
  // Neither is an unhandled rejection, after which Node would exit.
  process.on('unhandledRejection', (error) => {
    logger.error({ err: error }, 'unhandled rejection');
  });
}

function usage(): string {
  return 'usage: chat-api [--help | --version]';
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function printError(text: string): void {
  process.stderr.write(`chat-api: ${text}\n`);
}

function usageError(text: string): void {
  printError(text);
  process.exitCode = BAD_USAGE;
}
