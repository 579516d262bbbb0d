/** Where a server is, as `host:port`; the port stands behind the last colon, whatever the host. */
export type Server = string;

/** The URL of another server with the same scheme, user, password and database. */
export function urlAt(url: string, server: Server): string {
  const at = new URL(url);
  const colon = server.lastIndexOf(':');
  const host = server.slice(0, colon);
  at.hostname = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  at.port = server.slice(colon + 1);
  return at.href;
}

/** The same URL for a server that knows no such user. */
export function withoutLogin(url: string): string {
  const without = new URL(url);
  without.username = without.password = '';
  return without.href;
}

export function hostOf(server: Server): string {
  return server.slice(0, server.lastIndexOf(':'));
}
