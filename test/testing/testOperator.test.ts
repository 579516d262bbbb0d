import { describe, expect, test } from '@jest/globals';
import {
  asapScheduler,
  catchError,
  debounceTime,
  delay,
  ignoreElements,
  interval,
  map,
  mergeMap,
  observeOn,
  switchMap,
  take,
  takeUntil,
  tap,
  throwError,
  withLatestFrom,
  type MonoTypeOperatorFunction,
} from 'rxjs';
import { including } from '../../src/testing/diagram/difference.js';
import { MarbleError } from '../../src/testing/diagram/marble-error.js';
import { testOperator } from '../../src/testing/testOperator.js';
import type { Kit } from '../../src/testing/virtual-test.js';
import { failing, lines } from '../support/failing.js';

const same = <T>(): MonoTypeOperatorFunction<T> => map((value) => value);

describe('an operator that does what the rows say passes', () => {
  test('with values, their completion, and the time in which its source is subscribed to', () => {
    testOperator(
      ({ runtime }) => debounceTime(3, runtime.scheduler),
      `
        source  -a-b------c-|
        output  ------b-----(c|)
        subs    ^-----------!
      `,
    );
  });

  test('with long times', () => {
    testOperator(
      ({ runtime }) => delay(60_000, runtime.scheduler),
      `
        source  a 9s b
        output  1m a 9s b
      `,
    );
  });

  test('with values that letters stand for', () => {
    testOperator<number, { readonly twice: number; readonly more: boolean }>(
      () => map((n) => ({ twice: 2 * n, more: true })),
      `
        source  -a-b-a
        output  -a-b-a
      `,
      { source: { a: 1, b: 2 }, output: { a: including({ twice: 2 }), b: { twice: 4, more: true } } },
    );
  });

  test('with an error, whichever it is or the one that is named', () => {
    const diagram = `
      source  -a-#
      output  -a-#
      subs    ^--!
    `;
    testOperator(same, diagram);
    testOperator(same, diagram, { error: new TypeError('no') });
  });

  test('with an end from outside', () => {
    testOperator(
      ({ runtime }) => mergeMap(() => interval(2, runtime.scheduler)),
      `
        source  -a
        subs    ^-----!
        output  ---x-y-
        unsub   ------!
      `,
      { output: { x: 0, y: 1 } },
    );
  });

  test('with streams of the test’s own, hot and cold, and the times in which the cold ones are subscribed to', () => {
    testOperator<string, string>(
      ({ cold, hot }) =>
        (source$) =>
          source$.pipe(
            switchMap((letter) => cold('answer', '---y|', { y: `to ${letter}` })),
            takeUntil(hot('end')),
          ),
      `
        source  -a-----b-c-----
        answer  -^---!-^-(!^)!-
        output  ----x-------y--|
        end     ---------------x
      `,
      { output: { x: 'to a', y: 'to c' } },
    );
  });

  test('with what comes together in the order of the rows, the upper first', () => {
    const rows = ['source  -a-b', 'other   -x-y'];
    const latest = ({ hot }: Kit) => withLatestFrom<string, [string]>(hot('other'));
    const pairs = { output: { 1: ['a', 'x'], 2: ['b', 'y'], 3: ['b', 'x'] } as Record<string, [string, string]> };
    testOperator(latest, [...rows, 'output  ---3'].join('\n'), pairs);
    testOperator(latest, [...rows.reverse(), 'output  -1-2'].join('\n'), pairs);
  });

  test('with a stream that is made when it is needed, and then is the same for all who ask for it', () => {
    testOperator<string, string>(
      ({ hot }) => mergeMap((letter) => hot('news').pipe(map((news) => letter + news))),
      `
        source  --a-b---
        news    -x-y-z-|
        output  ---1-(23)
        unsub   ---------!
      `,
      { output: { 1: 'ay', 2: 'az', 3: 'bz' } },
    );
  });

  test('until nothing is due any more, beyond the last row', () => {
    const rows = `
      source  -a
      output  ---
    `;
    expect(() => {
      testOperator(({ runtime }) => delay(10_000, runtime.scheduler), rows);
    }).toThrow('a came, and nothing was expected');
  });
});

describe('the failure', () => {
  test('shows expected under actual, aligned, the first difference, and the values', () => {
    const text = failing(() => {
      testOperator<object | string, object | string>(
        ({ runtime }) => delay(3, runtime.scheduler),
        `
          source  -a--b----c- 9s d
          output  ----x--y------- 9s d
          subs    ^-------!
        `,
        {
          source: { a: { n: 1 }, b: { n: 2, text: 'hi' }, c: 'unexpected', d: 'later' },
          output: { x: { n: 1 }, y: { n: 2, text: 'ho' }, d: 'later' },
        },
      );
    });
    expect(text).toBe(
      lines(`
        the operator did something else

          source  -a--b----c--- 8998ms d----
          output  ----x--1----2 8998ms ---d-  came
                  ----x--y----- 8998ms ----d  expected
                         ↑ 7 ms
          subs    ^------------ 8998ms -----  came
                  ^-------!---- 8998ms -----  expected
                          ↑ 8 ms

        output, 7 ms: y was expected, and 1 came
          text is 'hi' instead of 'ho'
        output, 12 ms: 2 came, and nothing was expected
        output, 9.014 s: d came, and nothing was expected
        output, 9.015 s: d was expected, and nothing came
        subs, 8 ms: ! was expected, and nothing came

        source:
          a  { n: 1 }
          b  { n: 2, text: 'hi' }
          c  'unexpected'
          d  'later'
        output:
          x  { n: 1 }
          y  { n: 2, text: 'ho' }
          d  'later'
          1  { n: 2, text: 'hi' }   (not in the legend)
          2  'unexpected'   (not in the legend)
      `),
    );
  });

  test('needs no legend where letters stand for themselves, and says which error came', () => {
    const text = failing(() => {
      testOperator(
        () =>
          tap((letter) => {
            if (letter === 'b') throw new TypeError('no tea');
          }),
        `
          source  -a-b-c
          output  -a-(b|)
        `,
      );
    });
    expect(text).toBe(
      lines(`
        the operator did something else

          source  -a-b---c
          output  -a-#----  came
                  -a-(b|)-  expected
                     ↑ 3 ms

          (a group takes more room here than there is time: what follows stands too late)

        output, 3 ms: b was expected, and # came
        output, 3 ms: | was expected, and nothing came

        # at 3 ms is TypeError: no tea
      `),
    );
  });

  test('tells an error from another', () => {
    const rows = `
      source  -#
      output  -#
    `;
    const text = failing(() => {
      testOperator(() => catchError(() => throwError(() => new TypeError('no'))), rows, { error: new RangeError('no') });
    });
    expect(text).toContain('output, 1 ms: # was expected, and # came\n  it is TypeError: no instead of RangeError: no');
  });

  test('shows a subscription that is missing, one too many, and those that overlap', () => {
    const text = failing(() => {
      testOperator(
        ({ cold }) => mergeMap(() => cold('request', '---|')),
        `
          source   -a-b----c
          request  -^--!
          request  -------^--!
          output   -
        `,
      );
    });
    expect(text).toBe(
      lines(`
        the operator did something else

          source   -a-b----c---
          request  -^--!---^--!  came
                   -^--!--^--!-  expected
                          ↑ 7 ms
          request  ---^--!-----  came
                   ------------  expected
                      ↑ 3 ms
          output   ------------

        request, 7 ms: ^ was expected, and nothing came
        request, 8 ms: ^ came, and nothing was expected
        request, 10 ms: ! was expected, and nothing came
        request, 11 ms: ! came, and nothing was expected
        request, 3 ms: ^ came, and nothing was expected
        and 1 more
      `),
    );
  });

  test('points to the line of the test', () => {
    try {
      testOperator(same, 'source -a\noutput -');
    } catch (error) {
      expect(error).toBeInstanceOf(MarbleError);
      expect((error as Error).stack?.split('\n').find((line) => line.startsWith('    at '))).toContain('testOperator.test.ts');
    }
    expect.assertions(2);
  });
});

describe('what rows cannot say', () => {
  const rows = 'source -a\noutput -a';

  test('a timer that was not given the test’s time', () => {
    expect(
      failing(() => {
        testOperator(() => debounceTime(3), rows);
      }),
    ).toContain("a timer of 3 ms was started on a scheduler of RxJS' own, where time is real: give it the test's");
    expect(
      failing(() => {
        testOperator(() => observeOn(asapScheduler), rows);
      }),
    ).toContain('a timer of 0 ms was started');
  });

  test('an error that nobody handled', () => {
    const careless = () =>
      tap(() => {
        throwError(() => new Error('nobody looks')).subscribe();
      });
    expect(
      failing(() => {
        testOperator(careless, rows);
      }),
    ).toContain('an error that nobody handled: Error: nobody looks');
  });

  test('a timer that is left behind', () => {
    const forgetful = ({ runtime }: Kit) =>
      tap(() => {
        interval(5, runtime.scheduler).pipe(take(3)).subscribe();
      });
    testOperator(forgetful, rows);
    const text = failing(() => {
      testOperator(forgetful, `${rows}\nunsub --!`);
    });
    expect(text).toContain('\n\nafter its end a timer is still running');
  });

  test('a stream that is left subscribed to', () => {
    const forgetful = ({ hot, cold }: Kit) =>
      tap(() => {
        hot('news').subscribe();
        cold('request', '-').subscribe();
      });
    const text = failing(() => {
      testOperator(forgetful, rows);
    });
    expect(text).toContain('\n\nafter its end news is still subscribed to\nafter its end request is still subscribed to');
  });

  test('something that goes on for good', () => {
    const restless = ({ runtime }: Kit) => mergeMap(() => interval(1000, runtime.scheduler).pipe(ignoreElements()));
    expect(
      failing(() => {
        testOperator(restless, 'source -a\noutput -');
      }),
    ).toBe('it goes on and on: at 27 h 46 min it is still not over; end it with "!"');
    testOperator(restless, 'source -a\noutput -\nunsub --!');
  });
});

describe('a diagram that makes no sense', () => {
  test.each<[what: string, diagram: string, says: string]>([
    ['without a row to hold', 'source -a', 'the diagram expects nothing: it has no row "output"'],
    [
      'with a row of another name',
      'source -a\nouput -b\noutput -a',
      'there is nothing for row "ouput"; rows: source, unsub, output, subs',
    ],
    ['with two rows of a name', 'source -a\nsource -a\noutput -a', 'there are two rows "source"'],
    ['with a letter that stands for nothing', 'source -a-x\noutput -a', "row source: 'x' stands for no value; letters: a"],
    ['with such a letter where something should come', 'source -a\noutput -x', "row output: 'x' stands for no value; letters: a"],
    [
      'with a time that is none',
      'source -9s-a\noutput -a',
      `row source: '9' stands for no value; letters: a; a time stands between blanks, as in "a 9s b"`,
    ],
    [
      'with subscriptions that end before they begin',
      'source -a\noutput -a\nsubs -!-^',
      'row subs: "!" at 1 ms; subscriptions are ^ and ! by turns',
    ],
    [
      'with a group that does not close',
      'source -(a\noutput -a',
      'a "(" without its ")", or one within another, in the row: source -(a',
    ],
  ])('%s is told so', (_, diagram, says) => {
    expect(
      failing(() => {
        testOperator(same, diagram, { source: { a: 'a' }, output: { a: 'a' } });
      }),
    ).toBe(says);
  });

  test('with a value that has no letter is told so', () => {
    const text = failing(() => {
      testOperator(same, 'source -a\noutput -a', { source: { ab: 1 } });
    });
    expect(text).toBe("'ab' cannot stand for a value: a letter is one character, and none of - ( ) | # ^ !");
  });
});
