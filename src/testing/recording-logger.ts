import type { Logger } from '../log.js';

/** A line that was logged. */
export interface Logged {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  readonly message: string;
  /** What stands in the line beside its message; `err` is what failed. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** A logger that keeps what it is told. */
export function recordingLogger(logged: (line: Logged) => void): Logger {
  const at = (level: Logged['level']) => (details: unknown, message?: string) => {
    if (typeof details === 'string') logged({ level, message: details, details: {} });
    else logged({ level, message: message ?? '', details: details as Logged['details'] });
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), fatal: at('fatal') };
}
