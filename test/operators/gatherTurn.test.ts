import { describe, test } from '@jest/globals';
import { Subject, of, take, tap } from 'rxjs';
import { gatherTurn } from '../../src/operators/gatherTurn.js';
import { marbles } from '../support/marbles.js';

/** What is gathered, as a text, so that it reads as a marble's value. */
const asText = (turn: readonly string[]) => turn.join('');

describe('gatherTurn', () => {
  test('passes on what came within a turn when the turn ends', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const values = { x: ['a', 'b'], y: ['c'] };
      const e1 = hot('  -ab----c---|');
      const e1subs = '  ^----------!';
      const t1 = cold('  ---(e|)    ');
      const t1subs = ['  -^--!       ', '-------^--!'];
      const expected = '----x-----y|';

      expectObservable(e1.pipe(gatherTurn(t1))).toBe(expected, values);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(t1.subscriptions).toBe(t1subs);
    });
  });

  test('asks for the end of a turn only when there is something to gather', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  ------');
      const t1 = cold(' -(e|) ');
      const expected = '------';

      expectObservable(e1.pipe(gatherTurn(t1))).toBe(expected);
      expectSubscriptions(t1.subscriptions).toBe([]);
    });
  });

  test('passes each value on at once where turns end at once', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { x: ['a'], y: ['b'] };
      const e1 = hot('  -a-b-|');
      const expected = '-x-y-|';

      expectObservable(e1.pipe(gatherTurn(of('end')))).toBe(expected, values);
    });
  });

  test('hands over arrays that do not change afterwards', () => {
    marbles(({ hot, cold, expectObservable }) => {
      const e1 = hot('  -ab----c----|   ');
      const t1 = cold('  ---(e|)        ');
      const expected = '------------(xy|)';

      const turns$ = new Subject<string>();
      const turns: (readonly string[])[] = [];
      e1.pipe(gatherTurn(t1)).subscribe({
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

describe('gatherTurn: urgent values', () => {
  const isUrgent = (value: string) => value === value.toUpperCase();

  test('do not wait, and what was gathered goes with them', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const values = { x: ['a', 'b', 'C'], y: ['d'] };
      const e1 = hot('  -abC-d-----|');
      const t1 = cold('  -----(e|)  ');
      const t1subs = ['  -^-!        ', '-----^----!'];
      const expected = '---x------y|';

      expectObservable(e1.pipe(gatherTurn(t1, isUrgent))).toBe(expected, values);
      expectSubscriptions(t1.subscriptions).toBe(t1subs);
    });
  });

  test('go alone where nothing was gathered, and ask for no end of a turn', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const values = { x: ['A'], y: ['B'] };
      const e1 = hot('  -A-B-|');
      const t1 = cold('  -(e|)');
      const expected = '-x-y-|';

      expectObservable(e1.pipe(gatherTurn(t1, isUrgent))).toBe(expected, values);
      expectSubscriptions(t1.subscriptions).toBe([]);
    });
  });
});

describe('gatherTurn: the end', () => {
  test('completes with the source, which takes what was gathered with it', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const values = { x: ['a', 'b'] };
      const e1 = hot('  -ab|    ');
      const e1subs = '  ^--!    ';
      const t1 = cold('  ---(e|)');
      const t1subs = '  -^-!    ';
      const expected = '---(x|) ';

      expectObservable(e1.pipe(gatherTurn(t1))).toBe(expected, values);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(t1.subscriptions).toBe(t1subs);
    });
  });

  test('completes without an empty array where nothing was gathered', () => {
    marbles(({ hot, cold, expectObservable }) => {
      const e1 = hot('  ---|');
      const t1 = cold(' (e|)');
      const expected = '---|';

      expectObservable(e1.pipe(gatherTurn(t1))).toBe(expected);
    });
  });

  test('passes an error of the source on at once; what was gathered is lost', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -ab#    ');
      const e1subs = '  ^--!    ';
      const t1 = cold('  ---(e|)');
      const t1subs = '  -^-!    ';
      const expected = '---#    ';

      expectObservable(e1.pipe(gatherTurn(t1))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(t1.subscriptions).toBe(t1subs);
    });
  });

  test('unsubscribes from the source and from the turn that has not ended', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -ab-----');
      const unsub = '   ---!    ';
      const e1subs = '  ^--!    ';
      const t1 = cold('  ---(e|)');
      const t1subs = '  -^-!    ';
      const expected = '--------';

      expectObservable(e1.pipe(gatherTurn(t1)), unsub).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(t1.subscriptions).toBe(t1subs);
    });
  });

  test('ends where its consumer ends', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const values = { x: ['a', 'b'] };
      const e1 = hot('  -ab---c-');
      const t1 = cold('  ---(e|)');
      const subs = '    ^---!   ';
      const expected = '----(x|)';

      expectObservable(e1.pipe(gatherTurn(t1), take(1))).toBe(expected, values);
      expectSubscriptions(e1.subscriptions).toBe(subs);
    });
  });
});

describe('gatherTurn: a consumer that causes values', () => {
  test('while it is handed a turn finds them in the next turn', () => {
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
      expectObservable(source$.pipe(gatherTurn(t1), echo)).toBe(expected, values);
      expectSubscriptions(t1.subscriptions).toBe(t1subs);
    });
  });
});
