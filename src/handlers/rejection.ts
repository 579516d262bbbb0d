import { isWithin, type ErrorCode } from '../protocol/protocol.js';

/** Why a message goes no further; becomes the sender's `error`. */
export interface Rejection {
  readonly kind: 'rejection';
  readonly code: ErrorCode;
  readonly reason: string;
  /** The offending message's id, where it had a usable one. */
  readonly ref?: string | undefined;
  /** The failure behind it, for the log alone. */
  readonly error?: unknown;
}

/** An id longer than this many bytes is not repeated in `error.data.ref`. */
const MAX_REF_BYTES = 128;

/**
 * Tells the sender, and nobody else, that its message goes no further.
 *
 * @param reason for whoever reads the client's log
 * @param ref the message's `id`; where a handler gives none, that of the message which was being handled
 */
export function reject(code: ErrorCode, reason: string, ref?: string): Rejection {
  return { kind: 'rejection', code, reason, ref };
}

/** The id that an error may refer to: a string of at most 128 bytes. */
export function usableRef(id: unknown): string | undefined {
  return typeof id === 'string' && isWithin(MAX_REF_BYTES, id) ? id : undefined;
}
