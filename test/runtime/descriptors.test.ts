import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { expect, test } from '@jest/globals';
import { Descriptors } from '../../src/runtime/descriptors.js';

const RESERVED = 64;

/** The number of the descriptor that would be opened next. */
function next(): number {
  const descriptor = openSync(devNull, 'r');
  closeSync(descriptor);
  return descriptor;
}

/** Those of a process that may have so many more than it has, and what a look at them tells. */
function withFree(free: number): Descriptors {
  const descriptors = new Descriptors(next() + free);
  descriptors.check();
  descriptors.close();
  return descriptors;
}

test('descriptors are scarce where the next one would be of the reserve', () => {
  expect(withFree(RESERVED).areScarce).toBe(true);
  expect(withFree(RESERVED + 1).areScarce).toBe(false);
});

test('one in sixteen clients makes the pod look, and each while they are scarce', () => {
  const descriptors = new Descriptors(next() + RESERVED);
  for (let n = 0; n < 15; n++) descriptors.taken();
  expect(descriptors.areScarce).toBe(false);
  descriptors.taken();
  expect(descriptors.areScarce).toBe(true);
});

test.each<[what: string, limit: number | undefined, most: number]>([
  ['not known', undefined, 12_288],
  ['high', 1_048_576, 12_288],
  ['1,024', 1024, 720],
  ['very low', 70, 32],
])('where the limit is %s, clients that are no WebSockets are bounded by it', (_, limit, most) => {
  const descriptors = new Descriptors(limit);
  expect(descriptors.mostPending).toBe(limit === undefined ? 12_288 : most);
});

test('while they are scarce, new clients that are no WebSockets make room for each other', () => {
  expect(withFree(RESERVED).mostPending).toBe(32);
});

test('the limit that is needed has room for the connections, for what is half open and for the reserve', () => {
  expect(Descriptors.needed(20_000)).toBe(20_000 + 12_288 + RESERVED);
});
