import { reject, middleware, type ClientMessage, type Middleware } from 'chat-api';
import { filter, map, merge, scan, share } from 'rxjs';

export interface RateLimit {
  /** So many messages may come at once, */
  readonly burst: number;
  /** and so many a second, on and on. */
  readonly perSecond: number;
}

/** What a connection has left, and since when: a token bucket. */
interface Bucket {
  readonly tokens: number;
  readonly atMs: number;
}

interface Judged extends Bucket {
  readonly message: ClientMessage;
  readonly isAllowed: boolean;
}

/** Refuses what a connection sends faster than it may, whatever its type. */
export function rateLimit({ burst, perSecond }: RateLimit): Middleware {
  return middleware(
    'rate-limit',
    (message$, handle, { scheduler, count }) => {
      const judge = ({ tokens, atMs }: Bucket, message: ClientMessage): Judged => {
        const nowMs = scheduler.now();
        const filled = Math.min(burst, tokens + ((nowMs - atMs) / 1000) * perSecond);
        const isAllowed = filled >= 1;
        return { message, isAllowed, atMs: nowMs, tokens: isAllowed ? filled - 1 : filled };
      };
      const full: Bucket = { tokens: burst, atMs: scheduler.now() };
      // Shared, for there is one bucket for those that pass and those that do not.
      const judged$ = message$.pipe(scan<ClientMessage, Judged, Bucket>(judge, full), share());
      const passed$ = judged$.pipe(
        filter(({ isAllowed }) => isAllowed),
        map(({ message }) => message),
        handle,
      );
      const refused$ = judged$.pipe(
        filter(({ isAllowed }) => !isAllowed),
        map(() => {
          count('refused');
          return reject('unavailable', `more than ${perSecond} messages a second`);
        }),
      );
      return merge(passed$, refused$);
    },
    { events: ['refused'] },
  );
}
