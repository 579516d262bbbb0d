import type { Batch } from '../hub/frame.js';

/** What reaches a connection from outside, all through one mailbox: from its client, or from its pod. */
export type Inbound = Text | { readonly kind: 'binary' } | Alive | Tick | Drain;

/** A text frame's content. */
export interface Text {
  readonly kind: 'text';
  readonly text: string;
}

/** A control frame: no more than a sign of life. */
export interface Alive {
  readonly kind: 'alive';
}

/** The pod's pulse: time to look at the clock. */
export interface Tick {
  readonly kind: 'tick';
}

/** The pod goes away, and this connection with it. */
export interface Drain {
  readonly kind: 'drain';
  /** From now to the close. */
  readonly closeInMs: number;
  /** What the client is told to wait from the close on. */
  readonly reconnectInMs: number;
}

/** What is left to handle once the heartbeat has taken its part: and the ping that it asks for. */
export type Mail = Exclude<Inbound, Alive | Tick> | Ping;

/** What a connection asks of its socket. */
export type Outbound =
  | Batch
  | Ping
  /** Leave the socket unread, so that TCP holds the client back; or read it again. */
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
  /** The client is taken to be gone: don't wait for its half of the closing handshake. */
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
