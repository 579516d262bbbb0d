import type { Networks } from './address.js';
import { isAllowedOrigin, type Origins } from './origin.js';
import { BadRooms, requestedRooms } from '../protocol/names.js';

/** What a request is for, told by its path alone; paths are never normalised. */
export type Target =
  | {
      readonly kind: 'webSocket';
      /** What follows `/ws/`, still encoded. */
      readonly segment: string | undefined;
      readonly query: string;
    }
  | { readonly kind: 'page'; readonly path: string };

/** Why a request gets nothing, as HTTP says it. */
export interface Refusal {
  readonly status: number;
  /** Stable, for programs; also the label of `chat_upgrades_refused_total`. */
  readonly code: string;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Whether there is a place for one more. */
export interface Occupancy {
  readonly draining: boolean;
  readonly full: boolean;
}

/** Every value of each header, by its name in lower case. */
export type Headers = Readonly<Record<string, readonly string[] | undefined>>;

/**
 * Reads the headers of a request as they were sent: every value of each, in the order of the lines.
 *
 * @param raw names and values by turns, as Node has them in `rawHeaders`. Node's `headers` joins some lines and drops others.
 */
export function readHeaders(raw: readonly string[]): Headers {
  // A header may be called `__proto__` or `constructor`.
  const headers = Object.create(null) as Record<string, string[] | undefined>;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const [name = '', value = ''] = [raw[at]?.toLowerCase(), raw[at + 1]];
    (headers[name] ??= []).push(value);
  }
  return headers;
}

export interface UpgradeRequest {
  readonly method: string | undefined;
  readonly headers: Headers;
  /** The address at the other end of the connection; undefined where that is gone. */
  readonly peer: string | undefined;
  readonly segment: string | undefined;
  readonly query: string;
  /** The process has no file descriptor for another connection that stays. */
  readonly noDescriptors?: boolean;
}

/** Where requests may come from. */
export interface OriginPolicy {
  readonly origins: Origins;
  /** Proxies whose `X-Forwarded-Host` counts. */
  readonly trusted: Networks | undefined;
}

/** Told to a client that finds the pod full or leaving: come back in so many seconds, perhaps to another. */
const RETRY_AFTER_S = 5;

/**
 * Sorts a request by its path: `{basePath}/ws`, `/ws`, each with `/{room}`, or a page.
 *
 * @param url as it stands in the request line
 * @param basePath undefined where there are no WebSockets
 */
export function target(url: string, basePath: string | undefined): Target {
  // A proxy may name the whole URL (RFC 9112 section 3.2.2).
  const local = url.replace(/^https?:\/\/[^/?]*/i, '');
  const at = local.indexOf('?');
  const path = at < 0 ? local : local.slice(0, at);
  const query = at < 0 ? '' : local.slice(at + 1);
  if (basePath === undefined) return { kind: 'page', path };
  for (const endpoint of new Set([`${basePath}/ws`, '/ws'])) {
    if (path === endpoint) return { kind: 'webSocket', segment: undefined, query };
    if (path.startsWith(`${endpoint}/`)) return { kind: 'webSocket', segment: path.slice(endpoint.length + 1), query };
  }
  return { kind: 'page', path };
}

/**
 * Judges an upgrade before the 101, by all but its token. The pod's own state comes first: who is not let in learns nothing else.
 *
 * @returns the rooms to join, or the refusal: 400, 405, 503 with `Retry-After`, 403
 */
export function admit(request: UpgradeRequest, occupancy: Occupancy, border: OriginPolicy): readonly string[] | Refusal {
  const { method, headers, segment, query } = request;
  if (headers['host']?.length !== 1) return NO_HOST;
  if (method !== 'GET') return methodNotAllowed(['GET']);
  if (occupancy.draining) return DRAINING;
  if (occupancy.full) return OVERLOADED;
  if (request.noDescriptors === true) return NO_DESCRIPTORS;
  if (hasBody(headers)) return BODY;
  if (!comesFromAllowed(request, border)) return ORIGIN;
  try {
    return requestedRooms(segment, query);
  } catch (error) {
    if (error instanceof BadRooms) return { status: 400, code: 'bad_room', message: error.message };
    throw error;
  }
}

export function isRefusal(verdict: object): verdict is Refusal {
  return 'status' in verdict && 'code' in verdict;
}

/**
 * RFC 6750 section 3: says that a token is wanted, and what was wrong with this one.
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

/** What stands behind the headers is the WebSocket's: a body there is one that somebody in between sees and we do not, or the other way round. */
const BODY: Refusal = { status: 400, code: 'bad_request', message: 'an upgrade has no body' };

export const NOT_FOUND: Refusal = { status: 404, code: 'not_found', message: 'no such path' };

export const UPGRADE_REQUIRED: Refusal = {
  status: 426,
  code: 'upgrade_required',
  message: 'this is a WebSocket endpoint',
  headers: { Upgrade: 'websocket' },
};

export const INTERNAL: Refusal = { status: 500, code: 'internal', message: 'something went wrong here' };

const ORIGIN: Refusal = { status: 403, code: 'origin', message: 'pages of this origin may not connect' };

/** The same for one room and for another, so that nobody learns which there are. */
export const FORBIDDEN: Refusal = { status: 403, code: 'forbidden', message: 'the token does not grant this' };

export const DRAINING: Refusal = unavailable('draining', 'the pod goes away');
export const OVERLOADED: Refusal = unavailable('overloaded', 'no more connections are taken');

export const NO_DESCRIPTORS: Refusal = unavailable('no_descriptors', 'the file descriptors of the process are used up');

/** Not 401: the token may be good, and its owner need not log in again. */
export const AUTH_UNAVAILABLE: Refusal = unavailable('auth_unavailable', 'tokens cannot be checked at the moment');

function unavailable(code: string, message: string): Refusal {
  return { status: 503, code, message, headers: { 'Retry-After': String(RETRY_AFTER_S) } };
}

function hasBody(headers: Headers): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? []).some((length) => Number(length) !== 0);
}

function comesFromAllowed({ headers, peer }: UpgradeRequest, { origins, trusted }: OriginPolicy): boolean {
  const { host = [], origin = [], 'x-forwarded-host': forwarded = [] } = headers;
  const outside = trusted?.has(peer ?? '') ? forwarded.flatMap((value) => value.split(',')).map((name) => name.trim()) : [];
  return isAllowedOrigin(origins, origin, [...host, ...outside]);
}
