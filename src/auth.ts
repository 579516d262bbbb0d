import { createRemoteJWKSet, customFetch, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { allowedAlgorithms } from './algorithms.js';
import type { Identity } from './authorize.js';
import { secretBytes, type Config } from './config.js';
import type { Logger } from './log.js';
import { AUTH_UNAVAILABLE, unauthorized, type Refusal } from './request.js';
import { isSubject } from './token.js';
import type { World } from './world.js';

/** Who a token says one is, or why it says nothing: 401; 503 where its key could not be had. Never rejects. */
export type Authenticate = (token: string) => Promise<Identity | Refusal>;

/** Clocks of issuers may differ from ours by so much; `exp` counts so much longer, `nbf` so much earlier. */
export const LEEWAY_S = 5;

/** A key set is fetched again after so long, so that a withdrawn key stops counting; and for a key that is not in it, but only so often. */
const KEYS_MAX_AGE_MS = 600_000;
const KEYS_COOLDOWN_MS = 30_000;

/** From one fetch to the next, whatever became of it and however many tokens come. */
const FETCH_INTERVAL_MS = 1000;

/** An answer may take so long, where `UPGRADE_TIMEOUT_MS` is not less. */
const FETCH_TIMEOUT_MS = 5000;

/** A key set may have so many bytes: hundreds of keys. */
const MAX_KEYS_BYTES = 256 * 1024;

/** The log hears of keys that cannot be had at most so often. */
const COMPLAINT_INTERVAL_MS = 60_000;

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
  errors.JWKSMultipleMatchingKeys.code,
]);

type AuthConfig = Pick<
  Config,
  'authJwtSecret' | 'authJwksUrl' | 'authJwtIssuer' | 'authJwtAudience' | 'authJwtAlgorithms' | 'upgradeTimeoutMs'
>;

/**
 * Checks tokens (RFC 7519, by the rules of RFC 8725): the signature by an allowed algorithm, `exp`, which must be there, `nbf`,
 * `iss` and `aud` where they are asked for, and `sub`.
 */
export function authenticator(config: AuthConfig, { scheduler }: World, log: Logger): Authenticate {
  const { authJwtSecret, authJwksUrl, authJwtIssuer, authJwtAudience, authJwtAlgorithms, upgradeTimeoutMs } = config;
  const algorithms = allowedAlgorithms(secretBytes(authJwtSecret), authJwtAlgorithms);
  const key =
    authJwtSecret === undefined
      ? keySet(new URL(authJwksUrl ?? ''), Math.min(FETCH_TIMEOUT_MS, upgradeTimeoutMs), scheduler.now.bind(scheduler))
      : secretKey(authJwtSecret);
  const options = {
    algorithms: 'unfit' in algorithms ? [] : [...algorithms],
    requiredClaims: ['exp', 'sub'],
    clockTolerance: LEEWAY_S,
    ...(authJwtIssuer !== undefined && { issuer: authJwtIssuer }),
    ...(authJwtAudience !== undefined && { audience: [...authJwtAudience] }),
  };
  const complain = seldom(scheduler.now.bind(scheduler), (error) => {
    log.warn({ err: error }, 'token not checked');
  });
  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, key, { ...options, currentDate: new Date(scheduler.now()) });
      return identity(payload);
    } catch (error) {
      if (error instanceof errors.JOSEError && TOKEN_FAULTS.has(error.code)) {
        // The error itself holds the claims.
        log.debug({ code: error.code, reason: error.message }, 'token refused');
        const expired = error instanceof errors.JWTExpired;
        return unauthorized(expired ? 'the token is expired' : 'the token is not valid', 'invalid_token');
      }
      complain(error);
      return AUTH_UNAVAILABLE;
    }
  };
}

function identity(claims: JWTPayload): Identity | Refusal {
  const { sub, exp } = claims;
  if (!isSubject(sub) || exp === undefined) return unauthorized('the token names nobody', 'invalid_token');
  return { subject: sub, claims, expiresAtMs: (exp + LEEWAY_S) * 1000 };
}

function secretKey(secret: string): JWTVerifyGetKey {
  const bytes = new TextEncoder().encode(secret);
  return () => bytes;
}

/** The keys behind a URL, which no token has a say in; fetched when first needed. */
function keySet(url: URL, timeoutMs: number, now: () => number): JWTVerifyGetKey {
  let nextFetchMs = -Infinity;
  return createRemoteJWKSet(url, {
    timeoutDuration: timeoutMs,
    cooldownDuration: KEYS_COOLDOWN_MS,
    cacheMaxAge: KEYS_MAX_AGE_MS,
    [customFetch]: async (...request) => {
      if (now() < nextFetchMs) throw new Error('the keys were fetched in vain a moment ago');
      nextFetchMs = now() + FETCH_INTERVAL_MS;
      return bounded(await fetch(...request));
    },
  });
}

/** The same response, read to its end, which must come soon enough. */
async function bounded(response: Response): Promise<Response> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > MAX_KEYS_BYTES) throw new Error(`the keys take more than ${MAX_KEYS_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new Response(Buffer.concat(chunks), { status: response.status });
}

/** Of what happens again and again, the first in each interval. */
function seldom(now: () => number, tell: (error: unknown) => void): (error: unknown) => void {
  let silentUntilMs = -Infinity;
  return (error) => {
    if (now() < silentUntilMs) return;
    silentUntilMs = now() + COMPLAINT_INTERVAL_MS;
    tell(error);
  };
}
