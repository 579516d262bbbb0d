import { EMPTY, Observable, catchError, concat, defer, from, ignoreElements, mergeAll, tap } from 'rxjs';
import type { Time } from '../operators/within.js';
import { RefusedError, type RedisLink } from './link.js';
import { replyTimeout } from './reply.js';

/** The channels of one SUBSCRIBE: Redis serves nobody else while it carries one out. */
export const CHANNELS_PER_COMMAND = 500;

/** The error reply if the Redis user has no access to a channel (`ACL SETUSER … &pattern`). */
const NO_PERMISSION = /^NOPERM\b.*\bchannel/i;

export interface SubscribeOptions {
  readonly time: Time;
  /** Redis may be silent for this long while it owes a reply. */
  readonly timeoutMs: number;
  /** Divides channels into the batches that one SUBSCRIBE each may have. */
  readonly batches: (channels: readonly string[]) => readonly (readonly string[])[];
  /** Called for each channel that Redis has confirmed. */
  readonly confirmed: (channel: string) => void;
  /** Called when Redis refuses channels. True if another server takes them, or the same one later. */
  readonly isElsewhere: (channels: readonly string[], error: unknown) => boolean;
  /** Called if the Redis user has no access to a channel; its result is waited for. */
  readonly forbidden: (channel: string, error: RefusedError) => Observable<never>;
}

/**
 * Cold: subscribes a link to channels. Completes when each is confirmed, elsewhere or forbidden. Errors with `LinkError` if Redis does
 * not answer, and with any other error reply.
 */
export function subscribe$(link: RedisLink, channels: readonly string[], options: SubscribeOptions): Observable<never> {
  const { time, timeoutMs, batches } = options;
  const confirmed$ = batches(channels).map((batch) => command$(link, batch, options));
  return from(confirmed$).pipe(mergeAll(), replyTimeout(link, 'SUBSCRIBE', timeoutMs, time));
}

/** One SUBSCRIBE. Redis refuses all of its channels if it refuses one, so they are divided into halves until the one is found. */
function command$(link: RedisLink, channels: readonly string[], options: SubscribeOptions): Observable<never> {
  // Deferred, since an error reply to which nobody listens would be an unhandled rejection.
  return defer(() => link.subscribe(channels)).pipe(
    tap(() => {
      for (const channel of channels) options.confirmed(channel);
    }),
    ignoreElements(),
    catchError((error: unknown) => {
      if (options.isElsewhere(channels, error)) return EMPTY;
      if (!(error instanceof RefusedError) || !NO_PERMISSION.test(error.message)) throw error;
      const [channel = ''] = channels;
      if (channels.length <= 1) return options.forbidden(channel, error);
      const half = Math.ceil(channels.length / 2);
      return concat(command$(link, channels.slice(0, half), options), command$(link, channels.slice(half), options));
    }),
  );
}

/** Divides values into arrays of at most `size`. */
export function chunks<T>(values: readonly T[], size: number): readonly T[][] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, at) => values.slice(at * size, (at + 1) * size));
}
