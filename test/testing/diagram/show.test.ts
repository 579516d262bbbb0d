import { expect, test } from '@jest/globals';
import { including } from '../../../src/testing/diagram/difference.js';
import { show } from '../../../src/testing/diagram/show.js';

class Cup {
  readonly of = 'tea';
}

test.each<[value: unknown, shown: string]>([
  [1, '1'],
  [-0.5, '-0.5'],
  [null, 'null'],
  [undefined, 'undefined'],
  [12n, '12n'],
  [true, 'true'],
  ['tea', "'tea'"],
  ["it's", '"it\'s"'],
  ['say "hi"', '\'say "hi"\''],
  ['two\nlines', "'two\\nlines'"],
  [[1, 'a', [2]], "[1, 'a', [2]]"],
  [{}, '{}'],
  [{ a: 1, 'b-c': { d: [] }, e: undefined }, "{ a: 1, 'b-c': { d: [] } }"],
  [including({ event: 'welcome' }), "{ event: 'welcome', … }"],
  [including({}), '{ … }'],
  [new Cup(), "Cup { of: 'tea' }"],
  [Object.create(null), '{}'],
  [new TypeError('no'), 'TypeError: no'],
  [new Date(5), 'Date(1970-01-01T00:00:00.005Z)'],
  [new Date(NaN), 'Date(invalid)'],
  [new Set([1, 'a']), "Set(1, 'a')"],
  [new Map([['a', 1]]), "Map('a' → 1)"],
  [new Uint8Array(3), 'Uint8Array of 3 bytes'],
  [
    function brew() {
      return 1;
    },
    'brew',
  ],
])('%p is shown as %s', (value, shown) => {
  expect(show(value)).toBe(shown);
});

test('a text that is too long is cut, and its length told', () => {
  expect(show('x'.repeat(1000))).toBe(`'${'x'.repeat(60)}…' (1000 characters)`);
});

test('a value that is too long is cut', () => {
  const shown = show(Array.from({ length: 1000 }, (_, nth) => nth));
  expect(shown).toHaveLength(241);
  expect(shown.endsWith('…')).toBe(true);
});

test('what is nested deep is cut, also where it holds itself', () => {
  const value: Record<string, unknown> = {};
  value['self'] = value;
  expect(show(value)).toBe('{ self: { self: { self: { self: { self: { self: … } } } } } }');
});
