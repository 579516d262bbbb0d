import { EMPTY, Observable, catchError, concat, defer, from, ignoreElements, mergeAll, tap } from 'rxjs';
import type { Time } from '../operators/within.js';
import { RefusedError, type RedisLink } from './link.js';
import { answered } from './liveness/master.js';

/** One SUBSCRIBE asks for at most this many channels: Redis carries it out in one go while others wait. */
export const CHANNELS_PER_COMMAND = 500;

/** Redis' answer where its user may not hear a channel (`ACL SETUSER … &pattern`). */
const NO_PERMISSION = /^NOPERM\b.*\bchannel/i;

export interface SubscribeOptions {
  readonly time: Time;
  /** How long Redis may say nothing while it owes an answer. */
  readonly timeoutMs: number;
  /** Which channels one SUBSCRIBE may ask for together. */
  readonly together: (channels: readonly string[]) => readonly (readonly string[])[];
  /** Redis has confirmed a channel. */
  readonly confirmed: (channel: string) => void;
  /** Redis did not take channels, but another server will, or the same one later. */
  readonly isElsewhere: (channels: readonly string[], error: unknown) => boolean;
  /** The Redis user may not hear a channel. What comes of that is waited for. */
  readonly forbidden: (channel: string, error: RefusedError) => Observable<never>;
}

/**
 * Cold: subscribes a link to channels, with few commands. Completes when each is confirmed, is elsewhere or is forbidden. Errors with
 * `LinkError` where Redis does not answer, and with whatever else it refuses a command for.
 */
export function subscribe$(link: RedisLink, channels: readonly string[], options: SubscribeOptions): Observable<never> {
  const { time, timeoutMs, together } = options;
  const confirmed$ = together(channels).map((some) => command$(link, some, options));
  return from(confirmed$).pipe(mergeAll(), answered(link, 'SUBSCRIBE', timeoutMs, time));
}

/** One SUBSCRIBE. Redis refuses all of its channels where it refuses one: then they are asked for in halves. */
function command$(link: RedisLink, channels: readonly string[], options: SubscribeOptions): Observable<never> {
  // Not before somebody waits for the answer: a refusal that nobody hears would be an unhandled rejection.
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

/** Parts of at most so many. */
export function chunks<T>(values: readonly T[], size: number): readonly T[][] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, at) => values.slice(at * size, (at + 1) * size));
}
