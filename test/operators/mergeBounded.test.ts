import { describe, expect, test } from '@jest/globals';
import { EMPTY, Observable, Subject, of, range, throwError, type ObservableInput } from 'rxjs';
import { mergeBounded, type MergeBoundedOptions } from '../../src/operators/mergeBounded.js';
import { marbles } from '../support/marbles.js';

/** One at a time and one that waits, where a test says nothing else; an overflow is an `o`, an error an `e`. */
function bounded(
  project: (value: string) => ObservableInput<string>,
  options: Partial<MergeBoundedOptions<string, string>> = {},
) {
  return mergeBounded<string, string>({
    project,
    concurrency: 1,
    capacity: 1,
    overflow: () => 'o',
    recover: () => 'e',
    ...options,
  });
}

describe('mergeBounded', () => {
  test('runs one after the other, in order, with a concurrency of 1', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -ab--------|');
      const e1subs = '  ^----------!';
      const x1 = cold('  ---(x|)     ');
      const x1subs = '  -^--!       ';
      const y1 = cold('     -(y|)    ');
      const y1subs = '  ----^!      ';
      const expected = '----xy-----|';

      expectObservable(e1.pipe(bounded((value) => (value === 'a' ? x1 : y1)))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(x1.subscriptions).toBe(x1subs);
      expectSubscriptions(y1.subscriptions).toBe(y1subs);
    });
  });

  test('runs as many at once as the concurrency, and emits results as they come', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -ab--------|');
      const x1 = cold('  ---(x|)     ');
      const x1subs = '  -^--!       ';
      const y1 = cold('   -(y|)      ');
      const y1subs = '  --^!        ';
      const expected = '---yx------|';

      expectObservable(e1.pipe(bounded((value) => (value === 'a' ? x1 : y1), { concurrency: 2 }))).toBe(expected);
      expectSubscriptions(x1.subscriptions).toBe(x1subs);
      expectSubscriptions(y1.subscriptions).toBe(y1subs);
    });
  });

  test('runs any number of waiting values whose streams complete synchronously', () => {
    marbles(({ hot, cold, expectObservable }) => {
      const e1 = hot('  -abb-----|');
      const slow = cold(' ---(x|)  ');
      const expected = '----(xyy)|';

      expectObservable(e1.pipe(bounded((value) => (value === 'a' ? slow : of('y')), { capacity: 2 }))).toBe(expected);
    });
    const results: number[] = [];
    const first$ = new Subject<number>();
    range(0, 10_000)
      .pipe(
        mergeBounded<number, number>({
          project: (value) => (value === 0 ? first$ : [value]),
          concurrency: 1,
          capacity: Infinity,
          overflow: () => -1,
          recover: () => -2,
        }),
      )
      .subscribe((value) => results.push(value));
    first$.complete();
    expect(results).toEqual(Array.from({ length: 9999 }, (_, nth) => nth + 1));
  });
});

describe('mergeBounded: an overflow', () => {
  test('is emitted at once for the value that finds the queue full, and affects no other', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -abcd---e------|');
      const inner = cold(' -----(x|)      ');
      const subs = ['   -^----!         ', '------^----!    ', '-----------^----!'];
      const expected = '---oo-x----x----(x|)';

      expectObservable(e1.pipe(bounded(() => inner))).toBe(expected);
      expectSubscriptions(inner.subscriptions).toBe(subs);
    });
  });

  test('is emitted at once if the capacity is 0', () => {
    marbles(({ hot, cold, expectObservable }) => {
      const e1 = hot('  -ab--c---|');
      const inner = cold(' --(x|)   ');
      const expected = '--ox---x-|';

      expectObservable(e1.pipe(bounded(() => inner, { capacity: 0 }))).toBe(expected);
    });
  });
});

describe('mergeBounded: an error', () => {
  test('of an inner stream affects its own value, and the next one runs', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -ab------|');
      const e1subs = '  ^--------!';
      const x1 = cold('  -w-#      ');
      const x1subs = '  -^--!     ';
      const y1 = cold('     -(y|)  ');
      const y1subs = '  ----^!    ';
      const expected = '--w-ey---|';

      expectObservable(e1.pipe(bounded((value) => (value === 'a' ? x1 : y1)))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(x1.subscriptions).toBe(x1subs);
      expectSubscriptions(y1.subscriptions).toBe(y1subs);
    });
  });

  test.each<{ when: string; project: () => ObservableInput<string> }>([
    {
      when: 'while it is projected',
      project: () => {
        throw new Error('a bug');
      },
    },
    { when: 'while it is subscribed to', project: () => throwError(() => new Error('a bug')) },
    { when: 'because it is no stream', project: () => undefined as unknown as ObservableInput<string> },
  ])('$when counts as any other', ({ project }) => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-|');
      const expected = '-e-e-|';

      expectObservable(e1.pipe(bounded(project))).toBe(expected);
    });
  });

  test('is recovered from with the value that it came of', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-|');
      const expected = '-x-y-|';

      const recover = (error: unknown, value: string) => `${String(error)} at ${value}`;
      const result = e1.pipe(bounded(() => throwError(() => new Error('bug')), { recover }));
      expectObservable(result).toBe(expected, { x: 'Error: bug at a', y: 'Error: bug at b' });
    });
  });

  test('of the source passes at once and unsubscribes from the inner streams', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -ab#   ');
      const e1subs = '  ^--!   ';
      const x1 = cold('  -----x');
      const x1subs = '  -^-!   ';
      const expected = '---#   ';

      expectObservable(e1.pipe(bounded(() => x1))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(x1.subscriptions).toBe(x1subs);
    });
  });
});

describe('mergeBounded: the end', () => {
  test('comes with the completion of the source when nothing runs', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-|');
      const e1subs = '  ^--!';
      const expected = '---|';

      expectObservable(e1.pipe(bounded(() => EMPTY))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
    });
  });

  test('waits for the running and the waiting values', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -ab|         ');
      const e1subs = '  ^--!         ';
      const inner = cold(' ---(x|)     ');
      const subs = ['   -^--!        ', '----^--!       '];
      const expected = '----x--(x|)  ';

      expectObservable(e1.pipe(bounded(() => inner))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(inner.subscriptions).toBe(subs);
    });
  });

  test('comes after the error of the last inner stream', () => {
    marbles(({ hot, cold, expectObservable }) => {
      const e1 = hot('  -a|    ');
      const inner = cold(' ---#  ');
      const expected = '----(e|)';

      expectObservable(e1.pipe(bounded(() => inner))).toBe(expected);
    });
  });

  test('unsubscribing ends the source and the inner streams, and starts none that waits', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -ab------');
      const unsub = '   ----!    ';
      const e1subs = '  ^---!    ';
      const inner = cold(' -----x ');
      const subs = '    -^--!    ';
      const expected = '-----    ';

      expectObservable(e1.pipe(bounded(() => inner)), unsub).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(inner.subscriptions).toBe(subs);
    });
  });

  test('after it, values of an inner stream that goes on regardless are ignored', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a----');
      const unsub = '   --!   ';
      const expected = '------';

      const stubborn = new Observable<string>((subscriber) => {
        hot('---x').subscribe((value) => {
          subscriber.next(value);
        });
      });
      expectObservable(e1.pipe(bounded(() => stubborn)), unsub).toBe(expected);
    });
  });
});
