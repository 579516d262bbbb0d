import { describe, expect, test } from '@jest/globals';
import { Including, differences, including } from '../../../src/testing/diagram/difference.js';

describe('two values are the same', () => {
  class Cup {
    readonly of: string;

    constructor(of: string) {
      this.of = of;
    }
  }

  test.each<[what: string, expected: unknown, actual: unknown]>([
    ['numbers', 1, 1],
    ['NaN', NaN, NaN],
    ['texts', 'tea', 'tea'],
    ['lists', [1, ['a']], [1, ['a']]],
    ['objects, whatever the order of their members', { a: 1, b: { c: 2 } }, { b: { c: 2 }, a: 1 }],
    ['an absent member and one that is undefined', { a: 1 }, { a: 1, b: undefined }],
    ['objects of a class', new Cup('tea'), new Cup('tea')],
    ['errors', new TypeError('no'), new TypeError('no')],
    ['times', new Date(5), new Date(5)],
    ['sets', new Set([1, { a: 1 }]), new Set([1, { a: 1 }])],
    ['maps', new Map([['a', [1]]]), new Map([['a', [1]]])],
    ['bytes', Buffer.from('tea'), Buffer.from('tea')],
  ])('%s', (_, expected, actual) => {
    expect(differences(expected, actual)).toEqual([]);
  });

  test.each<[what: string, expected: unknown, actual: unknown]>([
    ['a number and a text', 1, '1'],
    ['zeros of different signs', 0, -0],
    ['null and nothing', null, undefined],
    ['null and an object', null, {}],
    ['an object and a list', {}, []],
    ['an object and one of a class', { of: 'tea' }, new Cup('tea')],
    ['an error and one of another class', new Error('no'), new TypeError('no')],
    ['an object and its text', {}, '{}'],
    ['functions that look alike', () => 1, () => 1],
  ])('but not %s', (_, expected, actual) => {
    expect(differences(expected, actual)).toEqual([{ path: '', expected, actual }]);
  });
});

describe('a difference', () => {
  test.each<[what: string, expected: unknown, actual: unknown, paths: string[]]>([
    ['of a member', { data: { content: 'hi', n: 1 } }, { data: { content: 'ho', n: 1 } }, ['data.content']],
    ['of several', { a: 1, b: 2, c: 3 }, { a: 1, b: 1, c: 1 }, ['b', 'c']],
    ['in a list', { list: [1, { x: 1 }] }, { list: [1, { x: 2 }] }, ['list[1].x']],
    ['of lengths', [1], [1, 2], ['[1]']],
    ['of a member too few', { a: 1 }, {}, ['a']],
    ['of a member too many', {}, { a: 1 }, ['a']],
    ['of a member that every object inherits', { toString: 1 }, {}, ['toString']],
    ['of what an error says', new Error('no'), new Error('yes'), ['message']],
    [
      'of an error’s own members',
      Object.assign(new Error('no'), { code: 1 }),
      Object.assign(new Error('no'), { code: 2 }),
      ['code'],
    ],
    ['of times', { at: new Date(1) }, { at: new Date(2) }, ['at']],
    ['of bytes', Buffer.from('ab'), Buffer.from('ac'), ['[1]']],
    ['of sets', new Set([1]), new Set([2]), ['[0]']],
  ])('%s is told by the way to it', (_, expected, actual, paths) => {
    expect(differences(expected, actual).map(({ path }) => path)).toEqual(paths);
  });

  test('says what both are', () => {
    expect(differences({ data: { n: 1 } }, { data: { n: 2 } })).toEqual([{ path: 'data.n', expected: 1, actual: 2 }]);
  });

  test('is looked for in what holds itself, for a while', () => {
    const [one, other]: Record<string, unknown>[] = [{ a: 1 }, { a: 1 }];
    Object.assign(one ?? {}, { self: one });
    Object.assign(other ?? {}, { self: other });
    expect(differences(one, other)).toHaveLength(1);
  });
});

describe('including', () => {
  test('compares the members that it names, each whole', () => {
    expect(differences(including({ a: { b: 1 } }), { a: { b: 1 }, c: 2 })).toEqual([]);
    expect(differences(including({ a: { b: 1 } }), { a: { b: 1, d: 2 }, c: 2 }).map(({ path }) => path)).toEqual(['a.d']);
  });

  test('may stand within another, or within an object', () => {
    const expected = including({ data: including({ event: 'welcome' }) });
    expect(differences(expected, { type: 'system', data: { event: 'welcome', rooms: [] } })).toEqual([]);
    expect(differences(expected, { type: 'system', data: { event: 'gap' } }).map(({ path }) => path)).toEqual(['data.event']);
  });

  test('asks for an object', () => {
    for (const actual of [undefined, null, 'a', [1]]) expect(differences(including({}), actual)).toHaveLength(1);
  });

  test('may leave some names free and no others', () => {
    const expected = new Including({ a: 1 }, (name) => name === 'ref');
    expect(differences(expected, { a: 1, ref: 'x' })).toEqual([]);
    expect(differences(expected, { a: 1, b: 2 }).map(({ path }) => path)).toEqual(['b']);
  });
});
