import { pino } from 'pino';

/** One line: an event in words, and its details as an object. */
export interface LogLine {
  (event: string): void;
  (details: object, event: string): void;
}

/** Where the service writes what an operator reads, never with a token or a message's content in it. pino's loggers are such, for one. */
export interface Logger {
  readonly debug: LogLine;
  readonly info: LogLine;
  readonly warn: LogLine;
  readonly error: LogLine;
  readonly fatal: LogLine;
  /** A logger whose lines have these details too. */
  child(details: object): Logger;
}

/**
 * A logger that writes JSON lines to standard output.
 *
 * @param level pino's: `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`
 */
export function createLogger(level: string): Logger {
  return pino({ name: 'chat-api', level });
}

/** A logger that says nothing. */
export const silentLogger: Logger = pino({ level: 'silent' });
