import type { Batch } from '../hub/frame.js';

/** What a connection gets: frames of its client, and ticks and orders of its pod. */
export type Inbound = Text | Binary | Alive | Tick | Drain;

/** A text frame's content. */
export interface Text {
  readonly kind: 'text';
  readonly text: string;
}

export interface Binary {
  readonly kind: 'binary';
}

/** A control frame, which is only a sign of life. */
export interface Alive {
  readonly kind: 'alive';
}

/** A tick of the pod's heartbeat clock. */
export interface Tick {
  readonly kind: 'tick';
}

/** The pod is stopping, and closes this connection. */
export interface Drain {
  readonly kind: 'drain';
  /** From now to the close. */
  readonly closeInMs: number;
  /** How long the client is asked to wait after the close before it reconnects. */
  readonly reconnectInMs: number;
}

/** What a connection asks of its socket. */
export type Outbound =
  | Batch
  | Ping
  /** Stop reading the socket, so that TCP holds the client back; or read it again. */
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | CloseSocket;

/** Ask the client for a sign of life. */
export interface Ping {
  readonly kind: 'ping';
}

/** The last thing that a connection asks. */
export interface CloseSocket {
  readonly kind: 'shut';
  /** One of `CloseCode`, or a handler's own. */
  readonly code: number;
  /** At most 123 bytes of UTF-8 (RFC 6455 section 5.5.1). */
  readonly reason: string;
  /** The client is assumed to be gone: do not wait for its half of the closing handshake. */
  readonly now: boolean;
}

export const ALIVE = { kind: 'alive' } as const;
export const BINARY = { kind: 'binary' } as const;
export const TICK = { kind: 'tick' } as const;
export const PING = { kind: 'ping' } as const;
export const PAUSE = { kind: 'pause' } as const;
export const RESUME = { kind: 'resume' } as const;

export function closeSocket(code: number, reason: string, now = false): CloseSocket {
  return { kind: 'shut', code, reason, now };
}
