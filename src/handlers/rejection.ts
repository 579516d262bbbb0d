import { isWithin, type ErrorCode } from '../protocol/protocol.js';

/** The refusal of a message; the sender gets it as an `error`. */
export interface Rejection {
  readonly kind: 'rejection';
  readonly code: ErrorCode;
  readonly reason: string;
  /** The `id` of the refused message, if usable. */
  readonly ref?: string | undefined;
  /** The cause. It is logged, not sent. */
  readonly error?: unknown;
}

/** An id longer than this many bytes is not repeated in `error.data.ref`. */
const MAX_REF_BYTES = 128;

/**
 * Refuses a message. Only its sender gets an `error`.
 *
 * @param reason a text for the developers of the client
 * @param ref the `id` of the message; by default, that of the message that is being handled
 */
export function reject(code: ErrorCode, reason: string, ref?: string): Rejection {
  return { kind: 'rejection', code, reason, ref };
}

/** The id if an error may repeat it: a string of at most 128 bytes. */
export function usableRef(id: unknown): string | undefined {
  return typeof id === 'string' && isWithin(MAX_REF_BYTES, id) ? id : undefined;
}
