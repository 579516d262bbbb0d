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

/** Who a token says one is, or why it says nothing: 401; 503 where its key could not be had. Never rejects. */
export type Authenticate = (token: string) => Promise<Identity | Refusal>;

/** Clocks of issuers may differ from ours by so much; `exp` counts so much longer, `nbf` so much earlier. */
const LEEWAY_S = 5;

/**
 * The last second that a date can name (RFC 3339), in seconds since the epoch: `exp` beyond it is no time. It is counted in milliseconds, or by
 * somebody who wants no end.
 */
const MAX_EXP_S = 253_402_300_799;

/** An answer with keys may take so long, or half of `UPGRADE_TIMEOUT_MS`: then there is time left to go on with older ones. */
const FETCH_TIMEOUT_MS = 5000;

/** Of the keys that a token without a key's name may be signed with, so many are tried. */
const MAX_KEYS_TRIED = 8;

/** A JWKS that cannot be fetched is logged at most once in this time. */
const LOG_INTERVAL_MS = 60_000;

/** What is wrong with a token, by jose's codes; any other failure is none of the token's. */
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

/** How tokens are to be checked; the variables of the same names say more. */
export interface AuthConfig {
  readonly authJwtSecret: string | undefined;
  readonly authJwksUrl: string | undefined;
  readonly authJwtIssuer: string | undefined;
  readonly authJwtAudience: readonly string[] | undefined;
  readonly authJwtAlgorithms: readonly string[] | undefined;
  readonly upgradeTimeoutMs: number;
}

/** How tokens are checked, and whether they can be. */
export interface Authentication {
  readonly authenticate: Authenticate;
  /** Cold: while subscribed to, fetches keys at once, again while there are none, and before they are too old. Emits nothing of use. */
  readonly kept$: Observable<unknown>;
  /** Why no token can be checked, for who asks whether the pod is ready; undefined where they can. */
  readonly problem: () => string | undefined;
}

/** Keys are looked after so often. */
const KEEP_INTERVAL_MS = 5000;

/**
 * Checks tokens (RFC 7519, by the rules of RFC 8725): the signature by an allowed algorithm, `exp`, which must be there, `nbf`,
 * `iss` and `aud` where they are asked for, and `sub`.
 */
export function authenticator(config: AuthConfig, runtime: Runtime, log: Logger): Authentication {
  const { scheduler, wallMs } = runtime;
  // Ages of keys and intervals go by a clock that nobody sets; what was signed goes by the machine's, as its issuer's did.
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
      // The error itself holds the claims, and its message may repeat what the token says.
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
  return new KeySet({ url: new URL(authJwksUrl ?? ''), timeoutMs, now, onFailure, algorithms: algorithmsOf(config) });
}

/** Keys that are looked after. */
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

/** With the keys that are there, or, where none fits, with those that are there by now: issuers change their keys. */
async function verified(token: string, keys: Keys, verify: Verify): Promise<JWTVerifyResult> {
  const attempt = () => verify(token, keys.find).catch((error: unknown) => verifiedByAny(token, error, verify));
  try {
    return await attempt();
  } catch (error) {
    if (!(await hasNewKeys(error, keys))) throw error;
    return attempt();
  }
}

/** A token that does not name its key is tried with each that it may be signed with. */
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

/** Whether there are other keys since a token failed for want of one. */
async function hasNewKeys(error: unknown, keys: Keys): Promise<boolean> {
  if (error instanceof errors.JWKSNoMatchingKey) return keys.refresh();
  // Most likely it is forged, whether or not keys can be had at the moment.
  if (error instanceof errors.JWSSignatureVerificationFailed) return keys.refresh().catch(() => false);
  return false;
}

function isTokenFault(error: unknown): error is errors.JOSEError {
  return error instanceof errors.JOSEError && TOKEN_FAULTS.has(error.code);
}

/** The claim that did not pass: always one that we asked for. */
function claimOf(error: errors.JOSEError): string | undefined {
  return error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired ? error.claim : undefined;
}

function identity(claims: JWTPayload, nowMs: number): Identity | Refusal {
  const { sub, exp } = claims;
  if (!isSubject(sub)) return unauthorized('the token names nobody', 'invalid_token');
  // `1e400` is JSON, and would be an end that never comes.
  if (exp === undefined || !(exp <= MAX_EXP_S)) return unauthorized('the token has no end', 'invalid_token');
  const expMs = exp * 1000;
  // Whom only the leeway let in would otherwise be let go at once.
  return { subject: sub, claims, expiresAtMs: expMs > nowMs ? expMs : expMs + LEEWAY_S * 1000 };
}
