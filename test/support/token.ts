import { createHmac, generateKeyPairSync, sign, type JsonWebKey, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Tokens made by hand (RFC 7515), so that they can be wrong in any way, and by no code of the service's. */

export const SECRET = 'a secret of sixty-four bytes, which every hash of HMAC is happy with';

type Claims = Readonly<Record<string, unknown>>;

/** Seconds since the epoch, as tokens count. */
export function nowS(): number {
  return Math.floor(Date.now() / 1000);
}

/** What a good token says. */
export function goodClaims(more: Claims = {}): Claims {
  return { sub: 'ada', exp: nowS() + 3600, ...more };
}

export function base64url(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

/** Signed with a secret: `HS256` where the header says nothing else. */
export function signedBySecret(claims: unknown, header: Claims = {}, secret: string | Buffer = SECRET): string {
  const all: Claims = { alg: 'HS256', typ: 'JWT', ...header };
  const input = `${base64url(all)}.${base64url(claims)}`;
  const hash = /^HS(256|384|512)$/.exec(String(all['alg']))?.[1] ?? '256';
  return `${input}.${createHmac(`sha${hash}`, secret).update(input).digest('base64url')}`;
}

/** A good token of somebody's. */
export function tokenOf(sub: string, more: Claims = {}): string {
  return signedBySecret(goodClaims({ sub, ...more }));
}

/** A pair of keys, its public one as it stands in a key set. */
export interface SigningKey {
  readonly kid: string;
  readonly alg: 'RS256' | 'ES256' | 'EdDSA';
  readonly jwk: JsonWebKey;
  readonly publicKey: KeyObject;
  sign(claims: unknown, header?: Claims): string;
}

export function signingKey(kid: string, alg: SigningKey['alg'] = 'ES256', modulusLength = 2048): SigningKey {
  const { privateKey, publicKey } =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength })
      : alg === 'ES256'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('ed25519');
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' };
  return {
    kid,
    alg,
    jwk,
    publicKey,
    sign: (claims, header = {}) => {
      const input = `${base64url({ alg, kid, ...header })}.${base64url(claims)}`;
      const hash = alg === 'EdDSA' ? undefined : 'sha256';
      const signature = sign(hash, Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return `${input}.${signature.toString('base64url')}`;
    },
  };
}

/** A server of keys, which does what a test says. */
export interface KeyServer {
  readonly url: string;
  /** How often it was asked. */
  asked: number;
  /** What it answers; the keys where a test says nothing else. */
  answer: (response: ServerResponse) => void;
  stop(): Promise<void>;
}

export async function startKeyServer(keys: () => readonly SigningKey[]): Promise<KeyServer> {
  const http = createServer((_request, response) => {
    server.asked += 1;
    server.answer(response);
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  const server: KeyServer = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/keys`,
    asked: 0,
    answer: (response) => {
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ keys: keys().map(({ jwk }) => jwk) }));
    },
    stop: async () => {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
  return server;
}
