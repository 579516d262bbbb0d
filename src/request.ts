import { BadRooms, requestedRooms } from './room-name.js';

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

/** How full the pod is. */
export interface Occupancy {
  readonly draining: boolean;
  readonly connections: number;
  /** 0 is no limit. */
  readonly maxConnections: number;
}

export interface UpgradeRequest {
  readonly method: string | undefined;
  readonly lacksHost: boolean;
  readonly segment: string | undefined;
  readonly query: string;
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
 * Judges an upgrade before the 101.
 *
 * @returns the rooms to join, or the refusal: 405, 503 with `Retry-After`, 400
 */
export function admit({ method, lacksHost, segment, query }: UpgradeRequest, occupancy: Occupancy): readonly string[] | Refusal {
  if (lacksHost) return NO_HOST;
  if (method !== 'GET') return methodNotAllowed(['GET']);
  if (occupancy.draining) return unavailable('draining', 'the pod goes away');
  if (occupancy.maxConnections > 0 && occupancy.connections >= occupancy.maxConnections) {
    return unavailable('overloaded', 'the pod has all the connections it takes');
  }
  try {
    return requestedRooms(segment, query);
  } catch (error) {
    if (error instanceof BadRooms) return { status: 400, code: 'bad_room', message: error.message };
    throw error;
  }
}

export function isRefusal(verdict: readonly string[] | Refusal): verdict is Refusal {
  return 'status' in verdict;
}

export function methodNotAllowed(allowed: readonly string[]): Refusal {
  return { status: 405, code: 'method', message: 'method not allowed', headers: { Allow: allowed.join(', ') } };
}

/** RFC 9112 section 3.2. */
export const NO_HOST: Refusal = { status: 400, code: 'bad_request', message: 'the request has no Host' };

export const NOT_FOUND: Refusal = { status: 404, code: 'not_found', message: 'no such path' };

export const UPGRADE_REQUIRED: Refusal = {
  status: 426,
  code: 'upgrade_required',
  message: 'this is a WebSocket endpoint',
  headers: { Upgrade: 'websocket' },
};

function unavailable(code: string, message: string): Refusal {
  return { status: 503, code, message, headers: { 'Retry-After': String(RETRY_AFTER_S) } };
}
