/** The answer to a request that is refused. */
export interface Refusal {
  readonly status: number;
  /** A stable code for programs; also the label of `chat_upgrades_refused_total`. */
  readonly code: string;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `Retry-After` of a pod that is full or drains. */
const RETRY_AFTER_S = 5;

export function isRefusal(outcome: object): outcome is Refusal {
  return 'status' in outcome && 'code' in outcome;
}

/**
 * Asks for a token, or says what is wrong with the one that was sent (RFC 6750 section 3).
 *
 * @param message without quotes: it becomes a quoted string
 * @param error absent where there was no token
 */
export function unauthorized(message: string, error?: 'invalid_request' | 'invalid_token'): Refusal {
  const why = error === undefined ? '' : `, error="${error}", error_description="${message}"`;
  return { status: 401, code: 'unauthorized', message, headers: { 'WWW-Authenticate': `Bearer realm="chat-api"${why}` } };
}

export function methodNotAllowed(allowed: readonly string[]): Refusal {
  return { status: 405, code: 'method', message: 'method not allowed', headers: { Allow: allowed.join(', ') } };
}

/** RFC 9112 section 3.2. */
export const NO_HOST: Refusal = { status: 400, code: 'bad_request', message: 'the request has not one Host' };

/** Bytes after the headers belong to the WebSocket. A proxy that takes them for a body would disagree with us about where the request ends. */
export const BODY: Refusal = { status: 400, code: 'bad_request', message: 'an upgrade has no body' };

export const NOT_FOUND: Refusal = { status: 404, code: 'not_found', message: 'no such path' };

export const UPGRADE_REQUIRED: Refusal = {
  status: 426,
  code: 'upgrade_required',
  message: 'this is a WebSocket endpoint',
  headers: { Upgrade: 'websocket' },
};

export const INTERNAL: Refusal = { status: 500, code: 'internal', message: 'something went wrong here' };

export const ORIGIN: Refusal = { status: 403, code: 'origin', message: 'pages of this origin may not connect' };

/** Names no room, so that nobody learns which rooms exist. */
export const FORBIDDEN: Refusal = { status: 403, code: 'forbidden', message: 'the token does not grant this' };

export const DRAINING: Refusal = unavailable('draining', 'the pod goes away');

export const OVERLOADED: Refusal = unavailable('overloaded', 'no more connections are taken');

export const NO_DESCRIPTORS: Refusal = unavailable('no_descriptors', 'the file descriptors of the process are used up');

/** Not 401: the token may be good, and its owner need not log in again. */
export const AUTH_UNAVAILABLE: Refusal = unavailable('auth_unavailable', 'tokens cannot be checked at the moment');

function unavailable(code: string, message: string): Refusal {
  return { status: 503, code, message, headers: { 'Retry-After': String(RETRY_AFTER_S) } };
}
