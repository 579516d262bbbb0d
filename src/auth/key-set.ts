import { canVerify } from './algorithms.js';
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';

/** The keys that tokens are verified with. */
export interface Keys {
  /** Finds the key for a token's header; jose calls it. */
  readonly find: JWTVerifyGetKey;
  /** Fetches newer keys for a token that fits none. Resolves with whether there may be others now; rejects where the fetch failed. */
  refresh(): Promise<boolean>;
}

/** A JWKS is fetched again after this time, so that a withdrawn key stops counting. */
const MAX_AGE_MS = 600_000;

/** While it cannot be fetched, an older JWKS counts until this age. */
const MAX_STALE_MS = 3_600_000;

/** The least time from a fetch that failed, or that a token without a key caused, to the next one. */
const FETCH_INTERVAL_MS = 1000;

/** The most bytes of a JWKS: hundreds of keys. */
const MAX_BYTES = 256 * 1024;

/** The number of tokens that may wait for a fetch: a client that sends tokens with unknown keys must not use up all pending upgrades. */
const MAX_WAITING = 500;

export interface KeySetOptions {
  /** From the configuration; a token cannot change it. */
  readonly url: URL;
  /** Makes the signal that aborts a fetch when its time is over. */
  readonly timeout: () => AbortSignal;
  /** Monotonic, in milliseconds. */
  readonly now: () => number;
  /** The algorithms that tokens may have; absent, all that a JWKS allows. */
  readonly algorithms?: readonly string[] | undefined;
  /** Called for each fetch that failed, also where no token waits for it. */
  readonly onFailure: (error: unknown) => void;
}

/** The JWKS behind a URL (RFC 7517). It is fetched by the first `keep` or `find`, again when it is old, and when a token fits no key. */
export class KeySet implements Keys {
  readonly #options: KeySetOptions;
  #find: JWTVerifyGetKey | undefined;
  #fetchedMs = -Infinity;
  #failedMs = -Infinity;
  #refreshedMs = -Infinity;
  #fetching: Promise<void> | undefined;
  /** The failure of the last fetch; undefined where it succeeded. */
  #failure: Error | undefined;
  #waiting = 0;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  readonly find: JWTVerifyGetKey = async (header, token) => {
    if (this.#ageMs >= MAX_AGE_MS) await this.#renew();
    // Without keys, `#renew` has thrown.
    if (this.#find === undefined) throw new Error('no JWKS');
    return this.#find(header, token);
  };

  /** Why no token can be checked; undefined where there are keys. */
  get problem(): string | undefined {
    if (this.#ageMs < MAX_STALE_MS) return undefined;
    return this.#failure === undefined ? 'the JWKS is being fetched' : describe(this.#failure);
  }

  /** Fetches the JWKS where there is none or it is old, so that no token has to wait for it. Does not reject. */
  async keep(): Promise<void> {
    if (this.#ageMs >= MAX_AGE_MS) await this.#renew().catch(() => undefined);
  }

  async refresh(): Promise<boolean> {
    const { now } = this.#options;
    if (this.#fetching === undefined && now() - this.#refreshedMs < FETCH_INTERVAL_MS) {
      if (this.#failure !== undefined) throw this.#failure;
      return false;
    }
    if (this.#waiting >= MAX_WAITING) throw new Error('too many tokens wait for the JWKS');
    this.#waiting += 1;
    try {
      await this.#fetch();
    } finally {
      this.#refreshedMs = now();
      this.#waiting -= 1;
    }
    return true;
  }

  get #ageMs(): number {
    return this.#options.now() - this.#fetchedMs;
  }

  async #renew(): Promise<void> {
    const failure = this.#failure;
    const haveKeys = this.#ageMs < MAX_STALE_MS;
    if (failure !== undefined && this.#options.now() - this.#failedMs < FETCH_INTERVAL_MS) {
      if (haveKeys) return;
      throw failure;
    }
    const fetched = this.#fetch().catch((error: unknown) => {
      if (!haveKeys) throw error;
    });
    // After a failure, a token that older keys are good enough for does not wait.
    if (failure === undefined || !haveKeys) await fetched;
  }

  /** One fetch at a time, for all tokens that wait. */
  #fetch(): Promise<void> {
    this.#fetching ??= this.#load().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #load(): Promise<void> {
    const { url, timeout, now, onFailure, algorithms } = this.#options;
    try {
      const keySet = await fetchJson(url, timeout());
      const find = createLocalJWKSet(keySet);
      if (!keySet.keys.some((key) => canVerify(key, algorithms))) {
        // The issuer has withdrawn the keys that we had.
        this.#find = undefined;
        this.#fetchedMs = -Infinity;
        throw new Error('the JWKS has no key for the allowed algorithms');
      }
      this.#find = find;
      this.#fetchedMs = now();
      this.#failure = undefined;
    } catch (error) {
      this.#failedMs = now();
      this.#failure = new Error('cannot fetch JWKS', { cause: error });
      onFailure(this.#failure);
      throw this.#failure;
    }
  }
}

/** Fetches a URL as JSON; `createLocalJWKSet` checks its shape. */
async function fetchJson(url: URL, signal: AbortSignal): Promise<JSONWebKeySet> {
  // Whoever can redirect the fetch can choose the keys.
  const response = await fetch(url, { redirect: 'error', signal });
  if (response.status !== 200) throw new Error(`the JWKS endpoint answered ${response.status}`);
  const text = (await bytesOf(response)).toString('utf8');
  try {
    return JSON.parse(text) as JSONWebKeySet;
  } catch {
    // The parser's own message would repeat the text.
    throw new Error('the JWKS endpoint did not answer JSON');
  }
}

/** An error and its causes, in one line. */
function describe({ message, cause }: Error): string {
  return cause instanceof Error ? `${message}: ${describe(cause)}` : message;
}

async function bytesOf(response: Response): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error(`the JWKS has more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
