import { describe, expect, test } from '@jest/globals';
import { elementsOf, has, sizeOf, withAdded, withRemoved, type SmallSet } from '../../src/hub/small-set.js';

interface Element {
  readonly name: string;
}

const [A, B, C]: readonly [Element, Element, Element] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];

function fewOf(...elements: readonly Element[]): SmallSet<Element> {
  return elements.reduce<SmallSet<Element>>(withAdded, undefined);
}

function names(few: SmallSet<Element>): string {
  return [...elementsOf(few)].map(({ name }) => name).join('');
}

describe('few', () => {
  test.each([
    { elements: [], is: '' },
    { elements: [A], is: 'a' },
    { elements: [A, A], is: 'a' },
    { elements: [A, B], is: 'ab' },
    { elements: [A, B, A, C, B], is: 'abc' },
  ])('holds each element once: $is', ({ elements, is }) => {
    const few = fewOf(...elements);
    expect(names(few)).toBe(is);
    expect(sizeOf(few)).toBe(is.length);
    for (const element of [A, B, C]) expect(has(few, element)).toBe(is.includes(element.name));
  });

  test.each([
    { elements: [], removed: A, is: '' },
    { elements: [A], removed: B, is: 'a' },
    { elements: [A], removed: A, is: '' },
    { elements: [A, B], removed: A, is: 'b' },
    { elements: [A, B, C], removed: B, is: 'ac' },
  ])('is without what was removed: $is', ({ elements, removed, is }) => {
    const few = withRemoved(fewOf(...elements), removed);
    expect(names(few)).toBe(is);
    expect(sizeOf(few)).toBe(is.length);
    expect(has(few, removed)).toBe(false);
  });

  test('makes no set for one element, and keeps none for none', () => {
    expect(fewOf(A)).toBe(A);
    expect(fewOf(A, A)).toBe(A);
    expect(withRemoved(withRemoved(fewOf(A, B), A), B)).toBeUndefined();
  });
});
