import { pino, stdTimeFunctions } from 'pino';

/** Writes one line: the event in words, and its details as an object. */
export interface LogLine {
  (event: string): void;
  (details: object, event: string): void;
}

/** The service's log for operators; no line has a token or a message's content in it. Any pino logger is one. */
export interface Logger {
  readonly debug: LogLine;
  readonly info: LogLine;
  readonly warn: LogLine;
  readonly error: LogLine;
  readonly fatal: LogLine;
  /** A logger that adds these details to each line. */
  child(details: object): Logger;
}

/**
 * A logger that writes JSON lines to standard output, with levels by name and times in ISO 8601 (UTC).
 *
 * @param level pino's: `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`
 */
export function createLogger(level: string): Logger {
  const formatters = { level: (name: string) => ({ level: name }) };
  return pino({ name: 'chat-api', level, timestamp: stdTimeFunctions.isoTime, formatters });
}

/** A logger that writes nothing. */
export const silentLogger: Logger = pino({ level: 'silent' });
