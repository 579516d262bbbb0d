/** Whose token it is, once that is proven. */
export interface Identity {
  /** The token's `sub`: `from` of what is published. */
  readonly subject: string;
  /** Everything that the token says, as its issuer wrote it. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** When the connection's time is over, in milliseconds since the epoch: at the token's `exp`, or, where the leeway alone let it in, as much later. */
  readonly expiresAtMs: number;
}

/**
 * What one connection may do, as long as it lives. Asked before each room is joined and for each message, so it answers at once.
 * What it throws costs the message that it was asked about, which is not published (`unavailable`).
 */
export interface Grant {
  /** Whether it may be in the room, and hear what is said there. */
  mayJoin(room: string): boolean;
  /** Whether it may publish to a room that it is in. */
  mayPublish(room: string): boolean;
  /** Whether it may publish to every connection there is. */
  mayPublishGlobally(): boolean;
}

/**
 * Decides what an identity may do, once, before its connection opens. It may take its time, up to `UPGRADE_TIMEOUT_MS` together
 * with the check of the token (503 then). Where it throws or rejects: 500.
 *
 * @returns undefined for whoever may do nothing, not even connect (403)
 */
export type Authorize = (identity: Identity) => Grant | undefined | PromiseLike<Grant | undefined>;

/** What a connection with a token has, and one without has not. */
export interface Access {
  readonly grant: Grant;
  readonly expiresAtMs: number;
}

/**
 * What the token's own claims grant: `rooms` and `publish` are arrays of patterns, in which `*` stands for any characters or none;
 * `global` is a boolean. Without `rooms`, every room; without `publish`, the same as `rooms`; without `global`, nothing global.
 *
 * A claim of another shape grants nothing at all, since nobody can know what was meant by it.
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
 * Whether a name matches a pattern. Looks for the parts between wildcards from left to right, each at its first place, and never
 * goes back: no pattern takes longer than its own length times the name's.
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
