import type { Envelope, ErrorCode } from '../protocol/protocol.js';
import { Including, including } from './diagram/difference.js';
import { show } from './diagram/show.js';

/**
 * What a client should hear: a message, of which the members that are written are compared, each of them whole; or that the
 * server closes the connection, and with which code.
 */
export type Heard = (Partial<Omit<Envelope, 'data'>> & { readonly data?: unknown }) | Closed;

/** The connection was closed by the server. */
export interface Closed {
  readonly closed: number;
}

/** `welcome`: the first that every connection hears. */
export const welcome: Heard = system('welcome');

/** `joined`: the connection is in a room now. */
export function joined(room: string): Heard {
  return system('joined', { room });
}

/** `left`: the connection is no longer in a room. */
export function left(room: string): Heard {
  return system('left', { room });
}

/** `gap`: messages may be missing here. */
export function gap(reason: 'subscription' | 'too_large' | 'slow_consumer' | 'handler'): Heard {
  return system('gap', { reason });
}

/** `shutdown`: the pod goes away. */
export const shutdown: Heard = system('shutdown');

/** `presence`: a connection came into a room. Its identity is its id where the conversation gives it no other. */
export function online(clientId: string, identity = clientId): Heard {
  return { type: 'presence', from: 'server', data: { status: 'online', clientId, identity } };
}

/** `presence`: a connection went out of a room. */
export function offline(clientId: string, identity = clientId): Heard {
  return { type: 'presence', from: 'server', data: { status: 'offline', clientId, identity } };
}

/**
 * `error`: a message went no further.
 *
 * @param ref the `id` of that message; absent: whichever
 */
export function error(code: ErrorCode, ref?: string): Heard {
  return { type: 'error', from: 'server', data: including(ref === undefined ? { code } : { code, ref }) };
}

/** The server closes the connection. */
export function closed(code: number): Closed {
  return { closed: code };
}

function system(event: string, more: object = {}): Heard {
  return { type: 'system', from: 'server', data: including({ event, ...more }) };
}

/** What a row of a client compares. */
export function expectation(heard: Heard): Including | Closed {
  return 'closed' in heard ? heard : including(heard);
}

/** Without what differs from message to message: where a row compares it, a difference tells it. */
export function describeHeard(value: unknown): string {
  if (typeof value !== 'object' || value === null || value instanceof Including) return show(value);
  return show({ ...value, id: undefined, timestamp: undefined });
}
