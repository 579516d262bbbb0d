import type { Batch } from './frame.js';
import type { CloseCode } from './protocol.js';

/** What reaches a connection from outside: from its client, or an order from its pod. */
export type Inbound = Text | { readonly kind: 'binary' } | Alive | Drain;

/** A text frame's content. */
export interface Text {
  readonly kind: 'text';
  readonly text: string;
}

/** A control frame: no more than a sign of life. */
export interface Alive {
  readonly kind: 'alive';
}

/** The pod goes away, and this connection with it. */
export interface Drain {
  readonly kind: 'drain';
  /** From now to the close. */
  readonly closeInMs: number;
  /** What the client is told to wait from the close on. */
  readonly reconnectInMs: number;
}

/** What a connection asks of its socket. */
export type Outbound =
  | Batch
  | { readonly kind: 'ping' }
  /** Leave the socket unread, so that TCP holds the client back; or read it again. */
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | Shut;

/** The last thing that a connection asks. */
export interface Shut {
  readonly kind: 'shut';
  readonly code: CloseCode;
  readonly reason: string;
  /** The client is taken to be gone: don't wait for its half of the closing handshake. */
  readonly now: boolean;
}

export const PING = { kind: 'ping' } as const;
export const PAUSE = { kind: 'pause' } as const;
export const RESUME = { kind: 'resume' } as const;

export function shut(code: CloseCode, reason: string, now = false): Shut {
  return { kind: 'shut', code, reason, now };
}
