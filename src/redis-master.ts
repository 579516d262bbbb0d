import { defer, ignoreElements, tap, type Observable } from 'rxjs';
import { within, type Time } from './operators/within.js';
import { LinkError, type RedisLink } from './redis-link.js';

/**
 * Completes when the server has said that it is a master; errors with `LinkError` when it is none, or says nothing for `timeoutMs`.
 *
 * A replica takes publishes too, and they reach nobody but its own subscribers.
 */
export function isMaster$(link: RedisLink, timeoutMs: number, time: Time): Observable<never> {
  return defer(() => link.ask('ROLE')).pipe(
    tap((answer) => {
      const [role] = answer as readonly unknown[];
      if (role !== 'master') throw new LinkError(`the server is a ${String(role)}, not a master`);
    }),
    ignoreElements(),
    answered(link, 'ROLE', timeoutMs, time),
  );
}

/** Errors with `LinkError` when the source has not completed in time and nothing at all came from Redis: an answer may have to wait its turn. */
export function answered<T = never>(link: RedisLink, command: string, ms: number, time: Time) {
  return within<T>({
    ms,
    time,
    progress: () => link.receivedBytes(),
    late: () => new LinkError(`${command} was not answered within ${ms} ms`),
  });
}
