import { pino, type Logger as PinoLogger } from 'pino';

/** Where the service writes what an operator reads: JSON lines, never with a token or a message's content in them. */
export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'>;

/** A logger that writes JSON lines to standard output. */
export function createLogger(level: string): Logger {
  return pino({ name: 'chat-api', level });
}

/** A logger that says nothing. */
export const silentLogger: Logger = pino({ level: 'silent' });
