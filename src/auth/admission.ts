import { catchError, concatMap, from, map, of, type Observable } from 'rxjs';
import type { Authenticate } from './verify.js';
import type { Access, Authorize, Grant, Identity } from './grant.js';
import type { Logger } from '../runtime/log.js';
import type { Headers } from '../http/request.js';
import { FORBIDDEN, INTERNAL, isRefusal, type Refusal } from '../http/refusal.js';
import { bearerToken } from './token.js';

/** The functions that decide by tokens which clients may connect. */
export interface Admission {
  readonly authenticate: Authenticate;
  readonly authorize: Authorize;
  readonly log: Logger;
}

/** The owner of a token, and what the token grants. */
export interface Admitted {
  /** `from` of what the connection publishes. */
  readonly identity: string;
  readonly access: Access;
}

/**
 * Checks the token of a request and whether it grants every room that the request names. Emits once, and does not error.
 *
 * @returns the owner, or the refusal: 401, 403, 503; 500 where `authorize` failed
 */
export function admitted$(
  headers: Headers,
  rooms: readonly string[],
  { authenticate, authorize, log }: Admission,
): Observable<Admitted | Refusal> {
  const token = bearerToken(headers);
  if (typeof token !== 'string') return of(token);
  return from(authenticate(token)).pipe(
    concatMap((identity) => (isRefusal(identity) ? of(identity) : granted$(identity, rooms, authorize))),
    catchError((error: unknown) => {
      log.error({ err: error }, 'authorization failed');
      return of(INTERNAL);
    }),
  );
}

function granted$(identity: Identity, rooms: readonly string[], authorize: Authorize): Observable<Admitted | Refusal> {
  const { subject, expiresAtMs } = identity;
  return answer$(authorize(identity)).pipe(
    map((grant) => {
      if (!grant || !rooms.every((room) => grant.mayJoin(room))) return FORBIDDEN;
      return { identity: subject, access: { grant, expiresAtMs } };
    }),
  );
}

function answer$(answer: ReturnType<Authorize>): Observable<Grant | undefined> {
  return answer !== undefined && 'then' in answer ? from(answer) : of(answer);
}
