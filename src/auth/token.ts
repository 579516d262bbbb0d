import { SERVER_ID, SUBPROTOCOL_TOKEN_PREFIX, byteLength } from '../protocol/protocol.js';
import type { Headers } from '../http/request.js';
import { unauthorized, type Refusal } from '../http/refusal.js';

/** The limit of OpenID Connect Core section 2, for which `ENVELOPE_BYTES` has room. */
const MAX_SUBJECT_BYTES = 255;

const CONTROL = /\p{Cc}/u;

/**
 * The token of a request: in `Authorization: Bearer` (RFC 6750 section 2.1) or, for browsers, which cannot set that header, among the
 * subprotocols as `bearer.<token>`. A token in the URL is not read, since URLs end up in logs.
 *
 * @returns 401 where there is none, or more than one
 */
export function bearerToken(headers: Headers): string | Refusal {
  const tokens = [...authorized(headers['authorization'] ?? []), ...offered(headers['sec-websocket-protocol'] ?? [])];
  const [token] = tokens;
  if (token === undefined) return unauthorized('a token is needed');
  return tokens.length > 1 ? unauthorized('more than one token', 'invalid_request') : token;
}

/**
 * Whether a token is in canonical form (RFC 7515 section 7.1, RFC 4648 section 3.5): three parts in base64url, without white space,
 * padding or unused bits. Otherwise several texts would be the same token.
 */
export function isCanonical(token: string): boolean {
  const parts = token.split('.');
  return parts.length === 3 && parts.every((part) => Buffer.from(part, 'base64url').toString('base64url') === part);
}

/** Whether a `sub` can be the `from` of messages: not empty, not too long, without control characters, and not the server's own. */
export function isSubject(sub: unknown): sub is string {
  return (
    typeof sub === 'string' &&
    sub !== '' &&
    sub !== SERVER_ID &&
    sub.isWellFormed() &&
    !CONTROL.test(sub) &&
    byteLength(sub) <= MAX_SUBJECT_BYTES
  );
}

/** Ignores credentials of another scheme. Two headers count as two tokens, whatever is in them. */
function authorized(values: readonly string[]): readonly string[] {
  if (values.length > 1) return values;
  return values.map((value) => /^Bearer +(\S.*)$/i.exec(value)?.[1]).filter((token) => token !== undefined);
}

function offered(values: readonly string[]): readonly string[] {
  return values
    .flatMap((value) => value.split(','))
    .map((protocol) => protocol.trim())
    .filter((protocol) => protocol.startsWith(SUBPROTOCOL_TOKEN_PREFIX))
    .map((protocol) => protocol.slice(SUBPROTOCOL_TOKEN_PREFIX.length));
}
