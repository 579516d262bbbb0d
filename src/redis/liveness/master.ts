import { defer, ignoreElements, tap, type Observable } from 'rxjs';
import { within, type Time } from '../../operators/within.js';
import { LinkError, type RedisLink } from '../link.js';

/**
 * Asks whether a link's server is the one that all pods should speak to: completes where it is, says so first where nobody who
 * would know can be asked, and errors with `DemotedError` where it is not, or with `LinkError` where it does not answer.
 */
export type Verify = (link: RedisLink) => Observable<'not known'>;

/** The server of a link is not, or no longer, the one that all pods should speak to. */
export class DemotedError extends LinkError {}

/**
 * Completes when the server has said that it is a master; errors with `DemotedError` when it is none, and with `LinkError` when it
 * says nothing for `timeoutMs`.
 *
 * A replica takes publishes too, and they reach nobody but its own subscribers.
 */
export function isMaster$(link: RedisLink, timeoutMs: number, time: Time): Observable<never> {
  return defer(() => link.ask('ROLE')).pipe(
    tap((answer) => {
      const [role] = parts(answer);
      if (typeof role !== 'string') throw malformed('ROLE');
      if (role !== 'master') throw new DemotedError(`the server is a ${role}, not a master`);
    }),
    ignoreElements(),
    answered(link, 'ROLE', timeoutMs, time),
  );
}

/** The parts of an answer; none where it is no array. */
export function parts(answer: unknown): readonly unknown[] {
  return Array.isArray(answer) ? answer : [];
}

/** A server that answers a command in another form than Redis does is none to rely on. */
export function malformed(command: string): LinkError {
  return new LinkError(`${command} was answered in another form than Redis has`);
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
