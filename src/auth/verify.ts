import { errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions, type JWTVerifyResult } from 'jose';
import { exhaustMap, timer, type Observable } from 'rxjs';
import { allowedAlgorithms } from './algorithms.js';
import type { Identity } from './grant.js';
import { secretBytes } from './algorithms.js';
import { KeySet, type Keys } from './key-set.js';
import { LogThrottle } from '../runtime/log-throttle.js';
import type { Logger } from '../runtime/log.js';
import { AUTH_UNAVAILABLE, unauthorized, type Refusal } from '../http/refusal.js';
import { isCanonical, isSubject } from './token.js';
import type { Runtime } from '../runtime/runtime.js';

/** Resolves with the identity of a token, or the refusal: 401; 503 where its key could not be fetched. Never rejects. */
export type Authenticate = (token: string) => Promise<Identity | Refusal>;

/** The clock of an issuer may differ from ours by this much: `exp` counts later, `nbf` earlier. */
const LEEWAY_S = 5;

/**
 * The last second of the year 9999 (RFC 3339), in seconds since the epoch. An `exp` beyond it is refused: its issuer counts in milliseconds, or
 * wants tokens without an end.
 */
const MAX_EXP_S = 253_402_300_799;

/** A fetch of the JWKS may take this time or half of `UPGRADE_TIMEOUT_MS`, whichever is less, so that there is time to go on with older keys. */
const FETCH_TIMEOUT_MS = 5000;

/** The most keys that are tried for a token without `kid`. */
const MAX_KEYS_TRIED = 8;

/** A JWKS that cannot be fetched is logged at most once in this time. */
const LOG_INTERVAL_MS = 60_000;

/** The codes of jose's errors that are the token's fault. */
const TOKEN_FAULTS: ReadonlySet<string> = new Set([
  errors.JOSEAlgNotAllowed.code,
  errors.JOSENotSupported.code,
  errors.JWSInvalid.code,
  errors.JWSSignatureVerificationFailed.code,
  errors.JWTInvalid.code,
  errors.JWTClaimValidationFailed.code,
  errors.JWTExpired.code,
  errors.JWKSNoMatchingKey.code,
]);

const NOT_VALID = 'the token is not valid';

/** The settings for tokens; see the variables of the same names. */
export interface AuthConfig {
  readonly authJwtSecret: string | undefined;
  readonly authJwksUrl: string | undefined;
  readonly authJwtIssuer: string | undefined;
  readonly authJwtAudience: readonly string[] | undefined;
  readonly authJwtAlgorithms: readonly string[] | undefined;
  readonly upgradeTimeoutMs: number;
}

/** Checks tokens, and knows whether it can. */
export interface Authentication {
  readonly authenticate: Authenticate;
  /** Cold. While subscribed to, fetches the JWKS at once, again while there is none, and when it is old. Its values mean nothing. */
  readonly kept$: Observable<unknown>;
  /** Why no token can be checked, for `/readyz`; undefined where tokens can be checked. */
  readonly problem: () => string | undefined;
}

/** The interval at which `kept$` checks the age of the JWKS. */
const KEEP_INTERVAL_MS = 5000;

/**
 * Checks tokens (RFC 7519, by the rules of RFC 8725): the signature by an allowed algorithm, `exp` (required), `nbf`,
 * `iss` and `aud` where the configuration names them, and `sub`.
 */
export function authenticator(config: AuthConfig, runtime: Runtime, log: Logger): Authentication {
  const { scheduler, wallMs } = runtime;
  // Ages and intervals go by the monotonic clock; `exp` and `nbf` by the machine's, as they did where they were signed.
  const now = () => scheduler.now();
  const throttle = new LogThrottle({ intervalMs: LOG_INTERVAL_MS, now });
  const onFailure = (error: unknown) => {
    const passed = throttle.pass();
    if (passed) log.warn({ err: error, ...passed }, 'cannot fetch JWKS');
  };
  const keys = keysOf(config, now, onFailure);
  const options = optionsOf(config);
  const verify: Verify = (token, key) => jwtVerify(token, key, { ...options, currentDate: new Date(wallMs()) });
  const authenticate: Authenticate = async (token) => {
    if (!isCanonical(token)) return unauthorized(NOT_VALID, 'invalid_token');
    try {
      return identity((await verified(token, keys, verify)).payload, wallMs());
    } catch (error) {
      if (!isTokenFault(error)) {
        onFailure(error);
        return AUTH_UNAVAILABLE;
      }
      // The error itself is not logged: it holds the claims, and its message may repeat them.
      log.debug({ code: error.code, claim: claimOf(error) }, 'token refused');
      const expired = error instanceof errors.JWTExpired;
      return unauthorized(expired ? 'the token is expired' : NOT_VALID, 'invalid_token');
    }
  };
  const kept$ = timer(0, KEEP_INTERVAL_MS, scheduler).pipe(exhaustMap(() => keys.keep()));
  return { authenticate, kept$, problem: () => keys.problem };
}

function keysOf(config: AuthConfig, now: () => number, onFailure: (error: unknown) => void): KeptKeys {
  const { authJwtSecret, authJwksUrl, upgradeTimeoutMs } = config;
  if (authJwtSecret !== undefined) return secretKey(authJwtSecret);
  const timeoutMs = Math.min(FETCH_TIMEOUT_MS, Math.ceil(upgradeTimeoutMs / 2));
  const timeout = () => AbortSignal.timeout(timeoutMs);
  return new KeySet({ url: new URL(authJwksUrl ?? ''), timeout, now, onFailure, algorithms: algorithmsOf(config) });
}

/** Keys that `kept$` keeps fresh. */
type KeptKeys = Keys & Pick<KeySet, 'keep' | 'problem'>;

function secretKey(secret: string): KeptKeys {
  const bytes = new TextEncoder().encode(secret);
  return { find: () => bytes, refresh: () => Promise.resolve(false), keep: () => Promise.resolve(), problem: undefined };
}

function algorithmsOf({ authJwtSecret, authJwtAlgorithms }: AuthConfig): string[] {
  const algorithms = allowedAlgorithms(secretBytes(authJwtSecret), authJwtAlgorithms);
  return 'unfit' in algorithms ? [] : [...algorithms];
}

function optionsOf(config: AuthConfig): JWTVerifyOptions {
  const { authJwtIssuer, authJwtAudience } = config;
  return {
    algorithms: algorithmsOf(config),
    requiredClaims: ['exp', 'sub'],
    clockTolerance: LEEWAY_S,
    ...(authJwtIssuer !== undefined && { issuer: authJwtIssuer }),
    ...(authJwtAudience !== undefined && { audience: [...authJwtAudience] }),
  };
}

type Verify = (token: string, key: JWTVerifyGetKey) => Promise<JWTVerifyResult>;

/** Verifies with the keys that there are and, where none fits, again with newer ones: issuers rotate their keys. */
async function verified(token: string, keys: Keys, verify: Verify): Promise<JWTVerifyResult> {
  const attempt = () => verify(token, keys.find).catch((error: unknown) => verifiedByAny(token, error, verify));
  try {
    return await attempt();
  } catch (error) {
    if (!(await hasNewKeys(error, keys))) throw error;
    return attempt();
  }
}

/** Tries a token without `kid` with each key that may have signed it. */
async function verifiedByAny(token: string, error: unknown, verify: Verify): Promise<JWTVerifyResult> {
  if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
  let tried = 0;
  for await (const key of error) {
    if ((tried += 1) > MAX_KEYS_TRIED) break;
    try {
      return await verify(token, () => key);
    } catch (failure) {
      if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
    }
  }
  throw new errors.JWSSignatureVerificationFailed();
}

/** Whether newer keys were fetched for a token that fits none. */
async function hasNewKeys(error: unknown, keys: Keys): Promise<boolean> {
  if (error instanceof errors.JWKSNoMatchingKey) return keys.refresh();
  // A bad signature is most likely a forged token, so a failed fetch does not turn it into a 503.
  if (error instanceof errors.JWSSignatureVerificationFailed) return keys.refresh().catch(() => false);
  return false;
}

function isTokenFault(error: unknown): error is errors.JOSEError {
  return error instanceof errors.JOSEError && TOKEN_FAULTS.has(error.code);
}

/** The claim that failed: always one that the configuration names, never other content of the token. */
function claimOf(error: errors.JOSEError): string | undefined {
  return error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired ? error.claim : undefined;
}

function identity(claims: JWTPayload, nowMs: number): Identity | Refusal {
  const { sub, exp } = claims;
  if (!isSubject(sub)) return unauthorized('the token names nobody', 'invalid_token');
  // `1e400` is valid JSON, and would be infinite.
  if (exp === undefined || !(exp <= MAX_EXP_S)) return unauthorized('the token has no end', 'invalid_token');
  const expMs = exp * 1000;
  // A token that only the leeway let in would otherwise expire at once.
  return { subject: sub, claims, expiresAtMs: expMs > nowMs ? expMs : expMs + LEEWAY_S * 1000 };
}
