import { canVerify } from './algorithms.js';
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';

/** Where the key of a token comes from. */
export interface Keys {
  /** The key for a token's header, as jose asks for it. */
  readonly find: JWTVerifyGetKey;
  /** For a token that no key fits: resolves with whether there may be another now. Rejects where none could be had. */
  refresh(): Promise<boolean>;
}

/** A key set is fetched again after so long, so that a withdrawn key stops counting. */
const MAX_AGE_MS = 600_000;

/** While it cannot be fetched, it goes on counting until it is so old. */
const MAX_STALE_MS = 3_600_000;

/** From one fetch to the next, where the first was in vain or a token fits no key that is there, however many tokens come. */
const FETCH_INTERVAL_MS = 1000;

/** It may have so many bytes: hundreds of keys. */
const MAX_BYTES = 256 * 1024;

/** So many tokens may wait for a key that is not there yet: whoever sends unknown ones must not take the place of all others. */
const MAX_WAITING = 500;

export interface KeySetOptions {
  /** No token has a say in it. */
  readonly url: URL;
  /** An answer may take so long. */
  readonly timeoutMs: number;
  readonly now: () => number;
  /** How tokens may be signed; absent, in every way that a key set allows. */
  readonly algorithms?: readonly string[] | undefined;
  /** Told of each fetch that failed, whether or not somebody waits for it. */
  readonly onFailure: (error: unknown) => void;
}

/** The keys behind a URL (RFC 7517), fetched when `keep` is called for the first time or they are first needed, when they are old, and when a token fits none. */
export class KeySet implements Keys {
  readonly #options: KeySetOptions;
  #find: JWTVerifyGetKey | undefined;
  #fetchedMs = -Infinity;
  #failedMs = -Infinity;
  #refreshedMs = -Infinity;
  #fetching: Promise<void> | undefined;
  /** Of the last fetch. */
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

  /** Fetches the keys where there are none or they are old, so that nobody has to wait for them. Does not reject. */
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
    // Of a server that did not answer, nobody waits for the next answer who can do without.
    if (failure === undefined || !haveKeys) await fetched;
  }

  /** One at a time, for all who wait. */
  #fetch(): Promise<void> {
    this.#fetching ??= this.#load().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #load(): Promise<void> {
    const { url, timeoutMs, now, onFailure, algorithms } = this.#options;
    try {
      const keySet = await fetchJson(url, timeoutMs);
      const find = createLocalJWKSet(keySet);
      if (!keySet.keys.some((key) => canVerify(key, algorithms))) {
        // The keys that there were are withdrawn, and there are no others.
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

/** What the URL answers; `createLocalJWKSet` judges its shape. */
async function fetchJson(url: URL, timeoutMs: number): Promise<JSONWebKeySet> {
  // Who can redirect us can choose the keys.
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
  if (response.status !== 200) throw new Error(`the JWKS endpoint answered ${response.status}`);
  const text = (await bytesOf(response)).toString('utf8');
  try {
    return JSON.parse(text) as JSONWebKeySet;
  } catch {
    // Not the parser's own words, which repeat what is there.
    throw new Error('the JWKS endpoint did not answer JSON');
  }
}

/** An error and what it came of, in one line. */
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
