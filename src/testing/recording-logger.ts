import type { LogLine, Logger } from '../runtime/log.js';

/** A line that was logged. */
export interface Logged {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  readonly event: string;
  /** The fields of the line; `err` is an error. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** A logger that passes each line to a callback. */
export function recordingLogger(logged: (line: Logged) => void, common: object = {}): Logger {
  const at =
    (level: Logged['level']): LogLine =>
    (...line: [string] | [object, string]) => {
      const [details, event] = line.length === 1 ? [{}, line[0]] : line;
      logged({ level, event, details: { ...common, ...details } });
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
    child: (details) => recordingLogger(logged, { ...common, ...details }),
  };
}
