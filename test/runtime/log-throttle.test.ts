import { describe, expect, test } from '@jest/globals';
import { LogThrottle } from '../../src/runtime/log-throttle.js';

const INTERVAL_MS = 1000;

/** A throttle, and a clock that the test sets. */
function throttled(lines?: number) {
  const clock = { nowMs: 5 };
  const options = { intervalMs: INTERVAL_MS, now: () => clock.nowMs };
  return { clock, throttle: new LogThrottle(lines === undefined ? options : { ...options, lines }) };
}

describe('a log throttle', () => {
  test('should pass the first line, and no other in its interval', () => {
    const { clock, throttle } = throttled();
    expect(throttle.pass()).toEqual({});
    expect(throttle.pass()).toBeUndefined();
    clock.nowMs += INTERVAL_MS - 1;
    expect(throttle.pass()).toBeUndefined();
  });

  test('should pass a line after the interval, with the number of lines that it suppressed', () => {
    const { clock, throttle } = throttled();
    throttle.pass();
    for (let n = 0; n < 3; n++) throttle.pass();
    clock.nowMs += INTERVAL_MS;
    expect(throttle.pass()).toEqual({ unlogged: 3 });
    clock.nowMs += INTERVAL_MS;
    expect(throttle.pass()).toEqual({});
  });

  test('should begin an interval with the line that passes, not with the clock', () => {
    const { clock, throttle } = throttled();
    throttle.pass();
    clock.nowMs += 1.5 * INTERVAL_MS;
    expect(throttle.pass()).toEqual({});
    clock.nowMs += INTERVAL_MS - 1;
    expect(throttle.pass()).toBeUndefined();
    clock.nowMs += 1;
    expect(throttle.pass()).toEqual({ unlogged: 1 });
  });

  test('should pass as many lines in an interval as it is told', () => {
    const { clock, throttle } = throttled(2);
    expect([throttle.pass(), throttle.pass(), throttle.pass()]).toEqual([{}, {}, undefined]);
    clock.nowMs += INTERVAL_MS;
    expect([throttle.pass(), throttle.pass(), throttle.pass()]).toEqual([{ unlogged: 1 }, {}, undefined]);
  });

  test('should bound and count the lines of each key by themselves', () => {
    const { clock, throttle } = throttled();
    expect([throttle.pass('a'), throttle.pass('b'), throttle.pass('a')]).toEqual([{}, {}, undefined]);
    clock.nowMs += INTERVAL_MS;
    expect([throttle.pass('a'), throttle.pass('b')]).toEqual([{ unlogged: 1 }, {}]);
  });

  test('should keep the counts of a hundred keys for any time', () => {
    const { clock, throttle } = throttled();
    const keys = Array.from({ length: 100 }, (_, n) => String(n));
    for (const key of [...keys, ...keys]) throttle.pass(key);
    clock.nowMs += 10 * INTERVAL_MS;
    expect(keys.map((key) => throttle.pass(key))).toEqual(keys.map(() => ({ unlogged: 1 })));
  });

  test('should forget the oldest keys beyond a hundred, but none whose interval is not over', () => {
    const { clock, throttle } = throttled();
    const keys = Array.from({ length: 300 }, (_, n) => String(n));
    for (const key of keys) throttle.pass(key);
    expect(keys.map((key) => throttle.pass(key))).toEqual(keys.map(() => undefined));
    clock.nowMs += INTERVAL_MS;
    expect(throttle.pass('new')).toEqual({});
    expect(throttle.pass('0')).toEqual({});
    expect(throttle.pass('299')).toEqual({ unlogged: 1 });
  });
});
