import { describe, expect, test } from '@jest/globals';
import { concatMap, map, of, throwError, type Observable } from 'rxjs';
import { branch } from '../../src/operators/branch.js';
import { marbles } from '../support/marbles.js';

function isLetter(value: string): value is 'a' | 'b' {
  return /[a-z]/.test(value);
}

describe('branch', () => {
  test('sends some of the values through the operator and lets the others pass', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -1a2b-');
      const unsub = '   -----!';
      const expected = '-1A2B-';

      expectObservable(e1.pipe(branch(isLetter, () => map((letter) => letter.toUpperCase()))), unsub).toBe(expected);
    });
  });

  test('makes the operator once, with the first value that it is for', () => {
    let made = 0;
    const operator = () => {
      made += 1;
      return map((letter: string) => letter);
    };
    const counts: number[] = [];
    of('1', 'a', 'b')
      .pipe(branch(isLetter, operator))
      .subscribe(() => counts.push(made));
    expect(counts).toEqual([0, 1, 1]);
  });

  test('merges what the operator emits later', () => {
    marbles(({ hot, cold, expectObservable }) => {
      const e1 = hot('  -a-1----');
      const late$ = cold(' -x---y');
      const unsub = '   --------!';
      const expected = '--x1--y--';

      const later = () => (letter$: Observable<string>) => letter$.pipe(concatMap(() => late$));
      expectObservable(e1.pipe(branch(isLetter, later)), unsub).toBe(expected);
    });
  });

  test('errors with an error of the operator', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -1a-2');
      const sub = '     ^-!';
      const expected = '-1#';

      const failing = () => (letter$: Observable<string>) => letter$.pipe(concatMap(() => throwError(() => 'error')));
      expectObservable(e1.pipe(branch(isLetter, failing))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(sub);
    });
  });

  test('unsubscribes from the source and from the operator', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a----');
      const late$ = cold(' ------');
      const unsub = '   ----!';

      const later = () => (letter$: Observable<string>) => letter$.pipe(concatMap(() => late$));
      expectObservable(e1.pipe(branch(isLetter, later)), unsub).toBe('-----');
      expectSubscriptions(e1.subscriptions).toBe('^---!');
      expectSubscriptions(late$.subscriptions).toBe('-^--!');
    });
  });
});
