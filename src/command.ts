import { config as rxjsConfig } from 'rxjs';
import { ConfigError, describeConfig, readConfig, type Config } from './config/config.js';
import { misspeltVariables } from './config/misspelt.js';
import { createLogger, type Logger } from './runtime/log.js';
import { setUpCollector } from './runtime/memory.js';
import { packageVersion } from './runtime/version.js';
import { createChatServer } from './server/server.js';

const BAD_USAGE = 2;

/** Called with what ends the process in good order, once there is something to end. */
export type OnStoppable = (stop: () => void) => void;

/** Does what the command line asks. */
export function run([option, ...others]: readonly string[], onStoppable: OnStoppable): void {
  if (option === '--help' && others.length === 0) print(`${usage()}\n\nEnvironment variables (default):\n${describeConfig()}`);
  else if (option === '--version' && others.length === 0) print(packageVersion());
  else if (option === undefined) start(onStoppable);
  else complain(`${[option, ...others].join(' ')} is no option; ${usage()}`);
}

function start(onStoppable: OnStoppable): void {
  try {
    serve(readConfig(process.env), onStoppable);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    complain(error.message);
  }
}

/** The service is what anybody can build with `createChatServer`; the rest is what a process of its own needs. */
function serve(config: Config, onStoppable: OnStoppable): void {
  setUpCollector();
  const logger = createLogger(config.logLevel);
  for (const { name, meant } of misspeltVariables(process.env))
    logger.warn({ variable: name, meant }, 'unknown environment variable');
  const server = createChatServer({ config, logger });
  const exit = (event: string) => (error: unknown) => {
    logger.fatal({ err: error }, event);
    // An operator who turned the log off still has to know why there is no service.
    if (config.logLevel === 'silent') tell(String(error));
    process.exit(1);
  };
  stayUp(logger);
  onStoppable(() => {
    server.close().then(() => process.exit(0), exit('failed to stop'));
  });
  server.listen().catch(exit('failed to start'));
}

function stayUp(logger: Logger): void {
  // A subscription without an error handler is a bug, but no reason to drop everybody.
  rxjsConfig.onUnhandledError = (error) => {
    logger.error({ err: error as unknown }, 'unhandled error in a stream');
  };
  // Neither is a promise that nobody waited for, which would end the process.
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

function tell(text: string): void {
  process.stderr.write(`chat-api: ${text}\n`);
}

function complain(text: string): void {
  tell(text);
  process.exitCode = BAD_USAGE;
}
