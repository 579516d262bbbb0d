import { describe, expect, test } from '@jest/globals';
import { mergeViews, ownedSlots, type KnownNode, type ViewReport } from '../../../src/redis/cluster/merge-views.js';
import type { ClusterNode } from '../../../src/redis/cluster/cluster-view.js';

const ALL = [{ first: 0, last: 16_383 }];
const LOW = { first: 0, last: 99 };
const HIGH = { first: 100, last: 16_383 };

function node(id: string, epoch: number, slots: ClusterNode['slots']): ClusterNode {
  return { id, epoch, slots, address: `${id}:1@2` };
}

function says(id: string, askedMs: number, ...nodes: readonly ClusterNode[]): ViewReport {
  return { askedMs, view: { id, hasMajority: true, nodes }, serverOf: (one) => `${one.id}:1` };
}

/** The owned ranges, as `first-last server`. */
function ranges(nodes: readonly KnownNode[]): readonly string[] {
  return ownedSlots(nodes).map(({ first, last, server }) => `${first}-${last} ${server}`);
}

describe('of two nodes that claim a slot', () => {
  test('the one with the greater config epoch owns it, whichever was asked last', () => {
    const old = says('old', 2, node('old', 1, ALL), node('new', 1, []));
    const others = says('other', 1, node('old', 1, []), node('new', 4, ALL));
    expect(ranges(mergeViews([], [old, others]))).toEqual(['0-16383 new:1']);
    expect(ranges(mergeViews([], [others, old]))).toEqual(['0-16383 new:1']);
  });

  test('with equal config epochs, the one that claims it itself owns it', () => {
    const a = says('a', 1, node('a', 1, [HIGH]), node('b', 1, [LOW]));
    const b = says('b', 1, node('a', 1, [HIGH]), node('b', 1, [LOW]));
    const behind = says('c', 2, node('a', 1, ALL), node('b', 1, []));
    expect(ranges(mergeViews([], [a, b, behind]))).toEqual(['0-99 b:1', '100-16383 a:1']);
  });
});

describe('a node that was known before', () => {
  const before = mergeViews([], [says('other', 1, node('old', 1, []), node('new', 4, ALL), node('other', 2, []))]);

  test('is not reverted by a server that lags behind', () => {
    const behind = says('old', 9, node('old', 1, ALL), node('new', 1, []));
    expect(ranges(mergeViews(before, [behind]))).toEqual(['0-16383 new:1']);
  });

  test('is removed if no view contains it', () => {
    const rebuilt = says('fresh', 9, node('fresh', 1, ALL));
    expect(ranges(mergeViews(before, [rebuilt]))).toEqual(['0-16383 fresh:1']);
  });

  test('is replaced by its own report, in which it may own fewer slots', () => {
    const less = says('new', 9, node('new', 4, [LOW]));
    expect(ranges(mergeViews(before, [less]))).toEqual(['0-99 new:1']);
  });
});

test('a node without an address for clients owns no slots', () => {
  const testimony = {
    ...says('a', 1, node('a', 1, [LOW]), node('b', 1, [HIGH])),
    serverOf: ({ id }: ClusterNode) => (id === 'a' ? 'a:1' : undefined),
  };
  expect(ranges(mergeViews([], [testimony]))).toEqual(['0-99 a:1']);
});

test('adjacent slots of one owner are one range', () => {
  const slots = [
    { first: 5, last: 5 },
    { first: 0, last: 4 },
  ];
  expect(ranges(mergeViews([], [says('a', 1, node('a', 1, slots))]))).toEqual(['0-5 a:1']);
});
