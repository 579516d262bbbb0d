import { describe, expect, test } from '@jest/globals';
import { ALGORITHMS, allowedAlgorithms } from '../../src/auth/algorithms.js';

const KEYS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];

test('none is no algorithm', () => {
  expect(ALGORITHMS.filter((name) => /none/i.test(name))).toEqual([]);
});

describe('where nothing is asked for', () => {
  test.each<[bytes: number | undefined, algorithms: readonly string[]]>([
    [31, []],
    [32, ['HS256']],
    [47, ['HS256']],
    [48, ['HS256', 'HS384']],
    [64, ['HS256', 'HS384', 'HS512']],
    [undefined, KEYS],
  ])('a secret of %p bytes is good for %p', (bytes, algorithms) => {
    expect(allowedAlgorithms(bytes, undefined)).toEqual(algorithms);
  });
});

test.each<[bytes: number | undefined, asked: readonly string[]]>([
  [64, ['HS512']],
  [32, ['HS256']],
  [undefined, ['EdDSA', 'ES256']],
])('a secret of %p bytes is good for %p, and for nothing else then', (bytes, asked) => {
  expect(allowedAlgorithms(bytes, asked)).toEqual(asked);
});

test.each<[bytes: number | undefined, asked: readonly string[], unfit: string, leastBytes: number | undefined]>([
  [47, ['HS256', 'HS384'], 'HS384', 48],
  [64, ['HS256', 'RS256'], 'RS256', undefined],
  [undefined, ['RS256', 'HS256'], 'HS256', 32],
])('a secret of %p bytes is not good for %p', (bytes, asked, unfit, leastBytes) => {
  expect(allowedAlgorithms(bytes, asked)).toEqual({ unfit, leastBytes });
});
