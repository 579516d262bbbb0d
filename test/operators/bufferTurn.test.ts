import { describe, test } from '@jest/globals';
import { Subject, of, take, tap } from 'rxjs';
import { bufferTurn } from '../../src/operators/bufferTurn.js';
import { marbles } from '../support/marbles.js';

/** What is gathered, as a text, so that it reads as a marble's value. */
const asText = (turn: readonly string[]) => turn.join('');

describe('bufferTurn', () => {
  test('emits the values of a turn when the turn ends', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const values = { x: ['a', 'b'], y: ['c'] };
      const e1 = hot('  -ab----c---|');
      const e1subs = '  ^----------!';
      const t1 = cold('  ---(e|)    ');
      const t1subs = ['  -^--!       ', '-------^--!'];
      const expected = '----x-----y|';

      expectObservable(e1.pipe(bufferTurn(t1))).toBe(expected, values);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(t1.subscriptions).toBe(t1subs);
    });
  });

  test('subscribes to turnEnd$ only while it holds values', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  ------');
      const t1 = cold(' -(e|) ');
      const expected = '------';

      expectObservable(e1.pipe(bufferTurn(t1))).toBe(expected);
      expectSubscriptions(t1.subscriptions).toBe([]);
    });
  });

  test('emits each value at once if turns end at once', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { x: ['a'], y: ['b'] };
      const e1 = hot('  -a-b-|');
      const expected = '-x-y-|';

      expectObservable(e1.pipe(bufferTurn(of('end')))).toBe(expected, values);
    });
  });

  test('emits arrays that do not change afterwards', () => {
    marbles(({ hot, cold, expectObservable }) => {
      const e1 = hot('  -ab----c----|   ');
      const t1 = cold('  ---(e|)        ');
      const expected = '------------(xy|)';

      const turns$ = new Subject<string>();
      const turns: (readonly string[])[] = [];
      e1.pipe(bufferTurn(t1)).subscribe({
        next: (turn) => turns.push(turn),
        complete: () => {
          for (const turn of turns) turns$.next(asText(turn));
          turns$.complete();
        },
      });
      expectObservable(turns$).toBe(expected, { x: 'ab', y: 'c' });
    });
  });
});

describe('bufferTurn: urgent values', () => {
  const isUrgent = (value: string) => value === value.toUpperCase();

  test('are emitted at once, behind the buffered values', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const values = { x: ['a', 'b', 'C'], y: ['d'] };
      const e1 = hot('  -abC-d-----|');
      const t1 = cold('  -----(e|)  ');
      const t1subs = ['  -^-!        ', '-----^----!'];
      const expected = '---x------y|';

      expectObservable(e1.pipe(bufferTurn(t1, isUrgent))).toBe(expected, values);
      expectSubscriptions(t1.subscriptions).toBe(t1subs);
    });
  });

  test('are emitted alone when nothing is buffered, without subscribing to turnEnd$', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const values = { x: ['A'], y: ['B'] };
      const e1 = hot('  -A-B-|');
      const t1 = cold('  -(e|)');
      const expected = '-x-y-|';

      expectObservable(e1.pipe(bufferTurn(t1, isUrgent))).toBe(expected, values);
      expectSubscriptions(t1.subscriptions).toBe([]);
    });
  });
});

describe('bufferTurn: the end', () => {
  test('emits the buffered values before it completes with the source', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const values = { x: ['a', 'b'] };
      const e1 = hot('  -ab|    ');
      const e1subs = '  ^--!    ';
      const t1 = cold('  ---(e|)');
      const t1subs = '  -^-!    ';
      const expected = '---(x|) ';

      expectObservable(e1.pipe(bufferTurn(t1))).toBe(expected, values);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(t1.subscriptions).toBe(t1subs);
    });
  });

  test('completes without an empty array when nothing is buffered', () => {
    marbles(({ hot, cold, expectObservable }) => {
      const e1 = hot('  ---|');
      const t1 = cold(' (e|)');
      const expected = '---|';

      expectObservable(e1.pipe(bufferTurn(t1))).toBe(expected);
    });
  });

  test('passes an error of the source on at once and discards the buffered values', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -ab#    ');
      const e1subs = '  ^--!    ';
      const t1 = cold('  ---(e|)');
      const t1subs = '  -^-!    ';
      const expected = '---#    ';

      expectObservable(e1.pipe(bufferTurn(t1))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(t1.subscriptions).toBe(t1subs);
    });
  });

  test('unsubscribes from the source and from turnEnd$', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -ab-----');
      const unsub = '   ---!    ';
      const e1subs = '  ^--!    ';
      const t1 = cold('  ---(e|)');
      const t1subs = '  -^-!    ';
      const expected = '--------';

      expectObservable(e1.pipe(bufferTurn(t1)), unsub).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(t1.subscriptions).toBe(t1subs);
    });
  });

  test('unsubscribes from the source when its subscriber unsubscribes at a value', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const values = { x: ['a', 'b'] };
      const e1 = hot('  -ab---c-');
      const t1 = cold('  ---(e|)');
      const subs = '    ^---!   ';
      const expected = '----(x|)';

      expectObservable(e1.pipe(bufferTurn(t1), take(1))).toBe(expected, values);
      expectSubscriptions(e1.subscriptions).toBe(subs);
    });
  });
});

describe('bufferTurn: values caused by the consumer', () => {
  test('are emitted with the next turn', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const values = { x: ['a', 'b'], y: ['c'] };
      const e1 = hot('  -ab--------');
      const t1 = cold('  ---(e|)   ');
      const t1subs = ['  -^--!      ', '----^--!'];
      const expected = '----x--y---';

      const source$ = new Subject<string>();
      e1.subscribe(source$);
      const echo = tap((turn: readonly string[]) => {
        if (turn.includes('a')) source$.next('c');
      });
      expectObservable(source$.pipe(bufferTurn(t1), echo)).toBe(expected, values);
      expectSubscriptions(t1.subscriptions).toBe(t1subs);
    });
  });
});
