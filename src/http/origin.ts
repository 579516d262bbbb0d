/** The web pages that may connect: any, those of the service's own host, or a list of origins. */
export type Origins = '*' | 'same-origin' | readonly string[];

/**
 * Origins as browsers write them (RFC 6454 section 6.2), comma-separated, or `*`.
 *
 * @returns undefined where one of them is not an origin; `null` is not, since any sandboxed page has it
 */
export function readOrigins(text: string): Origins | undefined {
  if (text === '*') return text;
  const origins = text.split(',').map((origin) => origin.trim());
  return origins.every(isOrigin) ? origins : undefined;
}

/**
 * Whether the origin of a request is allowed. Browsers always send `Origin`, and no page can change it; a client that is not a browser
 * sends none, and passes.
 *
 * @param origin every value of the request's `Origin`
 * @param hosts the names of the service in this request: its `Host`, and `X-Forwarded-Host` from a trusted proxy
 */
export function isAllowedOrigin(allowed: Origins, origin: readonly string[], hosts: readonly string[]): boolean {
  const [only] = origin;
  if (only === undefined || allowed === '*') return true;
  if (origin.length > 1) return false;
  if (allowed !== 'same-origin') return allowed.includes(only);
  return hosts.some((host) => isOriginOf(only, host));
}

function isOrigin(text: string): boolean {
  if (!/^[a-z][a-z\d+.-]*:\/\/[^/?#@\s*]+$/.test(text) || !URL.canParse(text)) return false;
  // For other schemes, `URL` has no origin to compare with.
  return !/^https?:/.test(text) || new URL(text).origin === text;
}

/** Compares by `URL`, which drops the default port that either may have. */
function isOriginOf(origin: string, host: string): boolean {
  const [, scheme = ''] = /^(https?:\/\/)[^/?#]+$/.exec(origin) ?? [];
  if (scheme === '' || !/^[\w.:[\]-]+$/.test(host) || !URL.canParse(origin) || !URL.canParse(scheme + host)) return false;
  return new URL(origin).host === new URL(scheme + host).host;
}
