import { byteLength } from '../protocol/protocol.js';

/** The algorithms of shared secrets (RFC 7518 section 3.2), with the least bytes of the secret: as many as the hash has. */
const SECRET_BYTES: ReadonlyMap<string, number> = new Map([
  ['HS256', 32],
  ['HS384', 48],
  ['HS512', 64],
]);

/** The algorithms of key pairs (RFC 7518 sections 3.3 to 3.5, RFC 8037, RFC 9864). */
const KEY_ALGORITHMS: readonly string[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];

/** Every algorithm that can be allowed; `none` is not among them. */
export const ALGORITHMS: readonly string[] = [...SECRET_BYTES.keys(), ...KEY_ALGORITHMS];

/** The shortest secret that is allowed, in bytes. */
export const LEAST_SECRET_BYTES = Math.min(...SECRET_BYTES.values());

/**
 * The algorithms that a token may have. Those of secrets and those of key pairs are never allowed together: otherwise a token could be
 * signed with a public key as the secret.
 *
 * @param secretBytes the length of the secret; undefined where keys come from a key set
 * @param asked the algorithms of the configuration; undefined for all that the key can have
 * @returns the allow-list, or the first algorithm that the key cannot have
 */
export function allowedAlgorithms(
  secretBytes: number | undefined,
  asked: readonly string[] | undefined,
): readonly string[] | { readonly unfit: string; readonly leastBytes: number | undefined } {
  const fits = (algorithm: string) => {
    const leastBytes = SECRET_BYTES.get(algorithm);
    if (secretBytes === undefined) return KEY_ALGORITHMS.includes(algorithm);
    return leastBytes !== undefined && secretBytes >= leastBytes;
  };
  if (asked === undefined) return ALGORITHMS.filter(fits);
  const unfit = asked.find((algorithm) => !fits(algorithm));
  return unfit === undefined ? asked : { unfit, leastBytes: SECRET_BYTES.get(unfit) };
}

/** A key of a JWKS (RFC 7517 section 4). */
export interface PublicKey {
  readonly kty?: string | undefined;
  readonly crv?: string | undefined;
  readonly use?: string | undefined;
  readonly key_ops?: readonly string[] | undefined;
  readonly alg?: string | undefined;
}

const CURVES: ReadonlyMap<string, readonly string[]> = new Map([
  ['P-256', ['ES256']],
  ['P-384', ['ES384']],
  ['P-521', ['ES512']],
  ['Ed25519', ['EdDSA', 'Ed25519']],
]);

/** Whether a token that is signed with one of the algorithms can be verified with this key. */
export function canVerify({ kty, crv, use, key_ops, alg }: PublicKey, algorithms: readonly string[] = KEY_ALGORITHMS): boolean {
  if (use !== undefined && use !== 'sig') return false;
  if (key_ops !== undefined && !key_ops.includes('verify')) return false;
  const able = kty === 'RSA' ? KEY_ALGORITHMS.filter((name) => /^[RP]S/.test(name)) : (CURVES.get(crv ?? '') ?? []);
  return able.some((name) => algorithms.includes(name) && (alg === undefined || alg === name));
}

/** The length of the secret in bytes; undefined where there is none. */
export function secretBytes(given: string | undefined): number | undefined {
  return given === undefined ? undefined : byteLength(given);
}
