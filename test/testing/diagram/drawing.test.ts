import { describe, expect, test } from '@jest/globals';
import { readMarbles } from '../../../src/testing/diagram/rows.js';
import { draw } from '../../../src/testing/diagram/drawing.js';

/** Rows drawn again. */
function redrawn(...rows: readonly string[]): readonly string[] {
  return draw(rows.map((marbles, nth) => ({ label: `row ${nth}`, ...readMarbles(marbles) }))).lines;
}

describe('rows', () => {
  test('are drawn one under the other, each as long as the longest', () => {
    expect(redrawn('-a', '---b', '')).toEqual(['row 0  -a--', 'row 1  ---b', 'row 2  ----']);
  });

  test('show what is at the same time at the same place, whatever their labels and groups', () => {
    const drawing = draw([
      { label: 'a', ...readMarbles('-(ab)-c') },
      { label: 'longer', ...readMarbles('-x----y'), note: 'so' },
    ]);
    expect(drawing.lines).toEqual(['a       -(ab)-c', 'longer  -x----y  so']);
    expect([1, 6].map(drawing.columnOf)).toEqual([9, 14]);
    expect(drawing.isExact).toBe(true);
  });

  test('write out a long time in which nothing happens, in all of them alike', () => {
    expect(redrawn('a 9s b', 'a', '- 9s -c')).toEqual(['row 0  a 9s b-', 'row 1  a 9s --', 'row 2  - 9s -c']);
  });

  test.each<[marbles: string, drawn: string]>([
    ['a 20ms b', 'a--------------------b'],
    ['a 21ms b', 'a 21ms b'],
    ['a 999ms b', 'a 999ms b'],
    ['a 1005ms b', 'a----- 1s b'],
    ['a 1500ms b', 'a 1500ms b'],
    ['a 120s b', 'a 2m b'],
    ['90s a', ' 90s a'],
  ])('"%s" is "%s", which reads the same', (marbles, drawn) => {
    expect(draw([{ label: '', ...readMarbles(marbles) }]).lines).toEqual([`  ${drawn}`]);
    expect(readMarbles(drawn).marks).toEqual(readMarbles(marbles).marks);
  });

  test('in which a group takes more room than there is time are still in order, and known not to be exact', () => {
    const drawing = draw([
      { label: 'a', ...readMarbles('-(abc)') },
      { label: 'b', ...readMarbles('-x-y') },
    ]);
    expect(drawing.lines).toEqual(['a  -(abc)-', 'b  -x----y']);
    expect(drawing.isExact).toBe(false);
  });
});
