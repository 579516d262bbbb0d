import { catchError, from, map, of, type Observable } from 'rxjs';
import type { Authenticate } from './auth.js';
import type { Access, Authorize, Identity } from './authorize.js';
import type { Logger } from './log.js';
import { FORBIDDEN, INTERNAL, isRefusal, type Headers, type Refusal } from './request.js';
import { bearerToken } from './token.js';

/** Decides by tokens who comes in. */
export interface Gatekeeper {
  readonly authenticate: Authenticate;
  readonly authorize: Authorize;
  readonly log: Logger;
}

/** Who comes in, and what that lets them do. */
export interface Admitted {
  /** `from` of what the connection publishes. */
  readonly identity: string;
  readonly access: Access;
}

/**
 * Judges a request's token and whether it grants every room that is asked for. Emits once, and does not error.
 *
 * @returns the owner, or the refusal: 401, 403, 503; 500 where `authorize` failed
 */
export function admitted$(
  headers: Headers,
  rooms: readonly string[],
  { authenticate, authorize, log }: Gatekeeper,
): Observable<Admitted | Refusal> {
  const token = bearerToken(headers);
  if (typeof token !== 'string') return of(token);
  return from(authenticate(token)).pipe(
    map((identity) => (isRefusal(identity) ? identity : granted(identity, rooms, authorize))),
    catchError((error: unknown) => {
      log.error({ err: error }, 'authorization failed');
      return of(INTERNAL);
    }),
  );
}

function granted(identity: Identity, rooms: readonly string[], authorize: Authorize): Admitted | Refusal {
  const grant = authorize(identity);
  if (!grant || !rooms.every((room) => grant.mayRead(room))) return FORBIDDEN;
  return { identity: identity.subject, access: { grant, expiresAtMs: identity.expiresAtMs } };
}
