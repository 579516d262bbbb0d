/** Which web pages may connect: any, those of the service's own host, or a list. */
export type Origins = '*' | 'same-origin' | readonly string[];

/**
 * Origins as browsers write them (RFC 6454 section 6.2), comma-separated, or `*`.
 *
 * @returns undefined where one of them is none; `null` is none, for any sandboxed page says so
 */
export function readOrigins(text: string): Origins | undefined {
  if (text === '*') return text;
  const origins = text.split(',').map((origin) => origin.trim());
  return origins.every(isOrigin) ? origins : undefined;
}

/**
 * Whether a request may come from where it says. A browser always says, and no page can change it; what is no browser says
 * nothing, and passes.
 *
 * @param origin every value of the request's `Origin`
 * @param hosts what the service is called by this request: its `Host`, and `X-Forwarded-Host` from a trusted proxy
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
  // Others than these have no origin that URL knows of.
  return !/^https?:/.test(text) || new URL(text).origin === text;
}

/** `URL` leaves out a scheme's own port, which either may name. */
function isOriginOf(origin: string, host: string): boolean {
  const [, scheme = ''] = /^(https?:\/\/)[^/?#]+$/.exec(origin) ?? [];
  if (scheme === '' || !/^[\w.:[\]-]+$/.test(host) || !URL.canParse(origin) || !URL.canParse(scheme + host)) return false;
  return new URL(origin).host === new URL(scheme + host).host;
}
