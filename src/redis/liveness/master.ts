import { defer, ignoreElements, tap, type Observable } from 'rxjs';
import type { Time } from '../../operators/within.js';
import { LinkError, type RedisLink } from '../link.js';
import { elements, malformedReply, replyTimeout } from '../reply.js';

/**
 * Checks that a link leads to the server that all pods should use. Completes if it does. Emits `unknown` first if nobody who would
 * know can be asked. Errors with `DemotedError` if it does not, and with `LinkError` if the server does not answer.
 */
export type Verify = (link: RedisLink) => Observable<'unknown'>;

/** The server of a link is not, or no longer, the master. */
export class DemotedError extends LinkError {}

/**
 * Completes if ROLE says that the server is a master. Errors with `DemotedError` if it is not, and with `LinkError` if there is no
 * answer for `timeoutMs`. A replica accepts publishes too, but only its own subscribers receive them.
 */
export function isMaster$(link: RedisLink, timeoutMs: number, time: Time): Observable<never> {
  return defer(() => link.call('ROLE')).pipe(
    tap((reply) => {
      const [role] = elements(reply);
      if (typeof role !== 'string') throw malformedReply('ROLE');
      if (role !== 'master') throw new DemotedError(`the server is a ${role}, not a master`);
    }),
    ignoreElements(),
    replyTimeout(link, 'ROLE', timeoutMs, time),
  );
}
