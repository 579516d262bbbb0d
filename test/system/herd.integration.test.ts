import { once } from 'node:events';
import { afterEach, expect, test } from '@jest/globals';
import type { Heard } from '../support/client.js';
import { startRedis } from '../support/redis.js';
import { startService } from '../support/service.js';
import { swarm } from '../support/swarm.js';

const CLIENTS = 6000;
/** Far more than the closes take, so that a busy machine has time for the closing handshakes. */
const SHUTDOWN_TIMEOUT_MS = 120_000;
/** One close a millisecond. */
const CLOSE_SPREAD_MS = CLIENTS;
/** One a millisecond, where that is more than five seconds. */
const RECONNECT_SPREAD_MS = CLIENTS;
/** Standard deviations that chance may bring: one run in 10^11 goes beyond. */
const SIGMAS = 7;

const ends: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});

test('6,000 clients that a drain drops are told moments to come back that spread evenly, and are closed one by one', async () => {
  const redis = await startRedis();
  const service = await startService({ REDIS_URL: redis.url, SHUTDOWN_TIMEOUT_MS: String(SHUTDOWN_TIMEOUT_MS) });
  ends.push(
    () => redis.stop(),
    () => service.stop('SIGKILL'),
  );
  const told: number[][] = Array.from({ length: CLIENTS }, () => []);
  const members = await swarm({
    port: service.port,
    size: CLIENTS,
    path: () => '/ws',
    onText: (nth, payload) => {
      const { data } = JSON.parse(payload.toString()) as Heard;
      if (data['event'] === 'shutdown') told[nth]?.push(Number(data['reconnectInMs']));
    },
  });
  const order: number[] = [];
  const closed = members.map(async ({ socket }, nth) => {
    await once(socket, 'close');
    order.push(nth);
  });
  expect(await service.stop('SIGTERM')).toBe(0);
  await Promise.all(closed);

  expect(members.filter(({ closeCode }) => closeCode !== 1001)).toEqual([]);
  expect(told.filter(({ length }) => length !== 1)).toEqual([]);
  const waits = told.flat();
  expect(waits.filter((ms) => !Number.isInteger(ms) || ms < 0 || ms > RECONNECT_SPREAD_MS)).toEqual([]);
  expectEven(waits.map((ms) => ms / (RECONNECT_SPREAD_MS + 1)));
  // The last close is due near the end of the spread, and no timer is early.
  const [drainingMs = NaN, stoppedMs = NaN] = await Promise.all(
    ['draining', 'stopped'].map(async (msg) => Date.parse(String((await service.logged(msg))['time']))),
  );
  expect(stoppedMs - drainingMs).toBeGreaterThan(0.95 * CLOSE_SPREAD_MS);
  // Not one after the other as they came.
  expect(Math.abs(trend(order))).toBeLessThan(SIGMAS / Math.sqrt(CLIENTS));
  // Who is closed first is not who comes back first.
  expect(Math.abs(trend(order.map((nth) => waits[nth] ?? NaN)))).toBeLessThan(SIGMAS / Math.sqrt(CLIENTS));
});

/** Of numbers from 0 to 1, each tenth has about as many. */
function expectEven(numbers: readonly number[]): void {
  const share = 0.1;
  const tolerance = SIGMAS * Math.sqrt(numbers.length * share * (1 - share));
  for (let from = 0; from < 10; from++) {
    const count = numbers.filter((x) => Math.floor(x * 10) === from).length;
    expect(Math.abs(count - numbers.length * share)).toBeLessThan(tolerance);
  }
}

/** How much numbers grow along the list: their correlation with their places, from -1 to 1. */
function trend(numbers: readonly number[]): number {
  const mean = (list: readonly number[]) => list.reduce((sum, x) => sum + x, 0) / list.length;
  const center = mean(numbers);
  const middle = (numbers.length - 1) / 2;
  const covariance = mean(numbers.map((x, at) => (x - center) * (at - middle)));
  return covariance / Math.sqrt(mean(numbers.map((x) => (x - center) ** 2)) * mean(numbers.map((_, at) => (at - middle) ** 2)));
}
