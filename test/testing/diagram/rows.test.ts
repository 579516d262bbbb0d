import { describe, expect, test } from '@jest/globals';
import { readDiagram, readMarbles } from '../../../src/testing/diagram/rows.js';
import { MarbleError } from '../../../src/testing/diagram/marble-error.js';

/** Marks as `5 a`. */
function marks(marbles: string): string[] {
  return readMarbles(marbles).marks.map(({ atMs, letter }) => `${atMs} ${letter}`);
}

describe('marbles', () => {
  test.each<[marbles: string, marks: string[], lengthMs: number]>([
    ['', [], 0],
    ['--', [], 2],
    ['-a-b', ['1 a', '3 b'], 4],
    ['  -a -b  ', ['1 a', '3 b'], 4],
    ['-(ab)-c', ['1 a', '1 b', '6 c'], 7],
    ['a 9s b', ['0 a', '9001 b'], 9002],
    ['a 1.5s b 2m c 20ms d', ['0 a', '1501 b', '121502 c', '121523 d'], 121524],
    ['9s', [], 9000],
    ['-a 9s', ['1 a'], 9002],
    ['^-a-!', ['0 ^', '2 a', '4 !'], 5],
    ['-(^a)-!', ['1 ^', '1 a', '6 !'], 7],
    ['-a-|', ['1 a', '3 |'], 4],
    ['-#', ['1 #'], 2],
    ['-(a|)', ['1 a', '1 |'], 5],
    ['-1-2', ['1 1', '3 2'], 4],
    ['-🍵-b', ['1 🍵', '3 b'], 4],
  ])('"%s"', (marbles, expected, lengthMs) => {
    expect(marks(marbles)).toEqual(expected);
    expect(readMarbles(marbles).lengthMs).toBe(lengthMs);
  });

  test.each(['-(ab', '-ab)', '-(a(b)c)'])('"%s" makes no sense: its groups do not close', (marbles) => {
    expect(() => readMarbles(marbles)).toThrow(MarbleError);
  });
});

describe('a diagram', () => {
  test('has a row a line, each with its name; empty lines are nothing', () => {
    const rows = readDiagram(
      `

        says     -a---b

        effects  -a 9s b
        none
      `,
      [],
    );
    expect(rows.map(({ name, lengthMs }) => [name, lengthMs])).toEqual([
      ['says', 6],
      ['effects', 9003],
      ['none', 0],
    ]);
  });

  test('knows names of several words, and those that end with any word', () => {
    const rows = readDiagram(
      'ada      -a\nada hears -b\nada-2 -c\npod in tea ^\npod -d',
      ['ada', 'ada hears', 'pod'],
      ['pod in '],
    );
    expect(rows.map(({ name, marks: [mark] }) => [name, mark?.letter])).toEqual([
      ['ada', 'a'],
      ['ada hears', 'b'],
      ['ada-2', 'c'],
      ['pod in tea', '^'],
      ['pod', 'd'],
    ]);
  });

  test('whose marbles make no sense says which row that is', () => {
    expect(() => readDiagram('says -a\neffects -(a', [])).toThrow(
      new MarbleError('a "(" without its ")", or one within another, in the row: effects -(a'),
    );
  });
});
