/** The owner of a token that was verified. */
export interface Identity {
  /** The token's `sub`: `from` of what is published. */
  readonly subject: string;
  /** All claims of the token. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** When the connection is closed, in milliseconds since the epoch: at `exp`, or one leeway later where only the leeway let the token in. */
  readonly expiresAtMs: number;
}

/**
 * What one connection may do, for its whole life. It is called before each join and for each message, and answers synchronously.
 * Where it throws, the message is not published (`unavailable`).
 */
export interface Grant {
  /** Whether it may join the room and receive its messages. */
  mayJoin(room: string): boolean;
  /** Whether it may publish to a room that it is in. */
  mayPublish(room: string): boolean;
  /** Whether it may publish to all connections. */
  mayPublishGlobally(): boolean;
}

/**
 * Decides what an identity may do, once, before its connection opens. Together with the check of the token it may take up to
 * `UPGRADE_TIMEOUT_MS` (then 503). Where it throws or rejects: 500.
 *
 * @returns undefined for an identity that may not connect at all (403)
 */
export type Authorize = (identity: Identity) => Grant | undefined | PromiseLike<Grant | undefined>;

/** The rights of a connection with a token, and when they end. */
export interface Access {
  readonly grant: Grant;
  readonly expiresAtMs: number;
}

/**
 * Grants what the claims of the token say: `rooms` and `publish` are arrays of patterns, in which `*` stands for any characters or none;
 * `global` is a boolean. Without `rooms`, every room; without `publish`, the same as `rooms`; without `global`, nothing global.
 *
 * Where a claim has another shape, the token grants nothing at all.
 */
export const authorizeByClaims = ({ claims }: Identity): Grant | undefined => {
  const { rooms = ['*'], publish = rooms, global: globally = false } = claims;
  if (!isPatterns(rooms) || !isPatterns(publish) || typeof globally !== 'boolean') return undefined;
  return {
    mayJoin: (room) => matchesAny(rooms, room),
    mayPublish: (room) => matchesAny(publish, room),
    mayPublishGlobally: () => globally,
  };
};

/**
 * Whether a name matches a pattern. Finds the parts between wildcards from left to right, each at its first occurrence, without
 * backtracking: the time is bounded by the product of both lengths.
 */
export function matches(pattern: string, name: string): boolean {
  const [first = '', ...parts] = pattern.split('*');
  const last = parts.pop();
  if (last === undefined) return name === pattern;
  const end = name.length - last.length;
  if (!name.startsWith(first) || !name.endsWith(last)) return false;
  let at = first.length;
  for (const part of parts) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= end;
}

function matchesAny(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => matches(pattern, name));
}

function isPatterns(claim: unknown): claim is readonly string[] {
  return Array.isArray(claim) && claim.every((pattern) => typeof pattern === 'string');
}
