import type { Networks } from './address.js';
import { isAllowedOrigin, type Origins } from './origin.js';
import { BODY, DRAINING, NO_DESCRIPTORS, NO_HOST, ORIGIN, OVERLOADED, methodNotAllowed, type Refusal } from './refusal.js';
import { BadRooms, requestedRooms } from './requested-rooms.js';

/** The target of a request, by its path alone; paths are never normalised. */
export type Target =
  | {
      readonly kind: 'webSocket';
      /** What follows `/ws/`, still encoded. */
      readonly segment: string | undefined;
      readonly query: string;
    }
  | { readonly kind: 'page'; readonly path: string };

/** The state of the pod that decides whether it takes another connection. */
export interface Occupancy {
  readonly draining: boolean;
  readonly full: boolean;
}

/** Every value of each header, by its name in lower case. */
export type Headers = Readonly<Record<string, readonly string[] | undefined>>;

/**
 * Reads the headers of a request as they were sent: every value of each header, in the order of the lines.
 *
 * @param raw names and values in alternation, Node's `rawHeaders`; Node's `headers` joins some lines and drops others
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
  /** The process has no file descriptor for another WebSocket. */
  readonly noDescriptors?: boolean;
}

/** The web pages that may connect. */
export interface OriginPolicy {
  readonly origins: Origins;
  /** Proxies whose `X-Forwarded-Host` counts. */
  readonly trusted: Networks | undefined;
}

/**
 * Sorts a request by its path: `{basePath}/ws` or `/ws`, each alone or with `/{room}`; anything else is a page.
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
 * Checks everything of an upgrade but its token, before the 101. The state of the pod comes first: a client that is not let in learns nothing else.
 *
 * @returns the rooms to join, or the refusal: 400, 405, 503 with `Retry-After`, 403
 */
export function admit(request: UpgradeRequest, occupancy: Occupancy, policy: OriginPolicy): readonly string[] | Refusal {
  const { method, headers, segment, query } = request;
  if (headers['host']?.length !== 1) return NO_HOST;
  if (method !== 'GET') return methodNotAllowed(['GET']);
  if (occupancy.draining) return DRAINING;
  if (occupancy.full) return OVERLOADED;
  if (request.noDescriptors === true) return NO_DESCRIPTORS;
  if (hasBody(headers)) return BODY;
  if (!comesFromAllowed(request, policy)) return ORIGIN;
  try {
    return requestedRooms(segment, query);
  } catch (error) {
    if (error instanceof BadRooms) return { status: 400, code: 'bad_room', message: error.message };
    throw error;
  }
}

function hasBody(headers: Headers): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? []).some((length) => Number(length) !== 0);
}

function comesFromAllowed({ headers, peer }: UpgradeRequest, { origins, trusted }: OriginPolicy): boolean {
  const { host = [], origin = [], 'x-forwarded-host': forwarded = [] } = headers;
  const outer = trusted?.has(peer ?? '') ? forwarded.flatMap((value) => value.split(',')).map((name) => name.trim()) : [];
  return isAllowedOrigin(origins, origin, [...host, ...outer]);
}
