import { within, type Time } from '../operators/within.js';
import { LinkError, type RedisLink } from './link.js';

/** The elements of an array reply; empty for any other reply. */
export function elements(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : [];
}

/** The error for a reply whose shape is not the one that Redis documents. The connection cannot be relied on. */
export function malformedReply(command: string): LinkError {
  return new LinkError(`malformed reply to ${command}`);
}

/** Errors with `LinkError` when the source does not complete within `ms` although no byte comes from Redis. Large replies may take longer. */
export function replyTimeout<T = never>(link: RedisLink, command: string, ms: number, time: Time) {
  return within<T>({
    ms,
    time,
    progress: () => link.receivedBytes(),
    late: () => new LinkError(`${command} was not answered within ${ms} ms`),
  });
}
