import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readConfig } from '../../src/config/config.js';
import { authenticator } from '../../src/auth/verify.js';
import { isRefusal } from '../../src/http/refusal.js';
import { silentLogger } from '../../src/runtime/log.js';
import { nodeRuntime } from '../../src/runtime/node-runtime.js';
import { SECRET, goodClaims, nowS, signedBySecret, signingKey, startKeyServer, type KeyServer } from '../support/token.js';

const HOUR_MS = 3_600_000;

/** A runtime whose two clocks a test sets, each by itself. */
let wallMs: number;
let monotonicMs: number;
const runtime = {
  ...nodeRuntime,
  wallMs: () => wallMs,
  scheduler: { now: () => monotonicMs, schedule: nodeRuntime.scheduler.schedule.bind(nodeRuntime.scheduler) },
};

beforeEach(() => {
  wallMs = nowS() * 1000;
  monotonicMs = 5;
});

describe('a token', () => {
  const { authenticate } = authenticator(readConfig({ AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET }), runtime, silentLogger);
  const isGood = async (claims: object) => !isRefusal(await authenticate(signedBySecret(goodClaims({ ...claims }))));

  test('begins and ends by the machine’s clock, as its issuer’s did', async () => {
    expect(await isGood({ exp: nowS() + 60 })).toBe(true);
    expect(await isGood({ exp: nowS() - 60 })).toBe(false);
    expect(await isGood({ nbf: nowS() + 60 })).toBe(false);
    wallMs += HOUR_MS;
    expect(await isGood({ exp: nowS() + 60 })).toBe(false);
    expect(await isGood({ exp: nowS() + 7200, nbf: nowS() + 60 })).toBe(true);
  });
});

describe('keys', () => {
  const [old, fresh] = [signingKey('old'), signingKey('fresh')];
  let keys = [old];
  let server: KeyServer;

  beforeEach(async () => {
    keys = [old];
    server = await startKeyServer(() => keys);
  });

  afterEach(async () => {
    await server.stop();
  });

  test('age by a clock that nobody sets: a new one counts at once, a withdrawn one no more, after the machine’s was set back an hour', async () => {
    const config = readConfig({ AUTH_ENABLED: 'true', AUTH_JWKS_URL: server.url });
    const { authenticate } = authenticator(config, runtime, silentLogger);
    const isGood = async (key: typeof old) => !isRefusal(await authenticate(key.sign(goodClaims())));
    expect([await isGood(old), await isGood(fresh)]).toEqual([true, false]);
    keys = [fresh];
    wallMs -= HOUR_MS;
    monotonicMs += 1000;
    expect([await isGood(fresh), await isGood(old)]).toEqual([true, false]);
  });
});
