import { describe, expect, test } from '@jest/globals';
import { Observable, Subject, Subscription, of, repeat, retry, take } from 'rxjs';
import { shareMany } from '../../src/operators/shareMany.js';
import { marbles } from '../support/marbles.js';

describe('shareMany', () => {
  test('subscribes with the first subscriber, and for all of them', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const e1 = cold('   -a-b-c-|');
      const e1subs = '    --^------!';
      const sub1 = '      --^       ';
      const expected1 = ' ---a-b-c-|';
      const sub2 = '      ----^     ';
      const expected2 = ' -----b-c-|';

      const shared$ = e1.pipe(shareMany());
      expectObservable(shared$, sub1).toBe(expected1);
      expectObservable(shared$, sub2).toBe(expected2);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
    });
  });

  test('does not subscribe before somebody does', () => {
    marbles(({ cold, expectSubscriptions }) => {
      const e1 = cold('-a-');

      e1.pipe(shareMany());
      expectSubscriptions(e1.subscriptions).toBe([]);
    });
  });

  test('unsubscribes with the last subscriber, not before', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const e1 = cold('   -a-b-c-d-');
      const e1subs = '    ^-----!  ';
      const sub1 = '      ^---!    ';
      const expected1 = ' -a-b     ';
      const sub2 = '      ^-----!  ';
      const expected2 = ' -a-b-c   ';

      const shared$ = e1.pipe(shareMany());
      expectObservable(shared$, sub1).toBe(expected1);
      expectObservable(shared$, sub2).toBe(expected2);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
    });
  });

  test('starts anew with who comes after the last has left', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const e1 = cold('   -a-b-c-|    ');
      const e1subs = ['    ^--!        ', '-----^------!'];
      const sub1 = '      ^--!        ';
      const expected1 = ' -a-         ';
      const sub2 = '      -----^      ';
      const expected2 = ' ------a-b-c-|';

      const shared$ = e1.pipe(shareMany());
      expectObservable(shared$, sub1).toBe(expected1);
      expectObservable(shared$, sub2).toBe(expected2);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
    });
  });

  test('passes an error to all', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const e1 = cold('   -a-b-#');
      const e1subs = '    ^----!';
      const sub2 = '      --^   ';
      const expected1 = ' -a-b-#';
      const expected2 = ' ---b-#';

      const shared$ = e1.pipe(shareMany());
      expectObservable(shared$).toBe(expected1);
      expectObservable(shared$, sub2).toBe(expected2);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
    });
  });

  test.each([
    { end: 'a completion', source: '-a-|', again: '------a-|' },
    { end: 'an error', source: '    -a-#', again: '------a-#' },
  ])('starts anew with who comes after $end', ({ source, again }) => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const e1 = cold(source);
      const e1subs = ['    ^--!', '-----^--!'];
      const sub2 = '      -----^';

      const shared$ = e1.pipe(shareMany());
      expectObservable(shared$).toBe(source);
      expectObservable(shared$, sub2).toBe(again);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
    });
  });

  test('can be repeated and retried by each of its subscribers, on one connection', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const completes = cold('-a-|     ');
      const errors = cold('   -a-#     ');
      const subs = ['         ^--!     ', '---^--!'];
      const repeated = '      -a--a-|  ';
      const retried = '       -a--a-#  ';

      const shared$ = completes.pipe(shareMany());
      expectObservable(shared$.pipe(repeat(2))).toBe(repeated);
      expectObservable(shared$.pipe(repeat(2))).toBe(repeated);
      expectSubscriptions(completes.subscriptions).toBe(subs);

      const failing$ = errors.pipe(shareMany());
      expectObservable(failing$.pipe(retry(1))).toBe(retried);
      expectObservable(failing$.pipe(retry(1))).toBe(retried);
      expectSubscriptions(errors.subscriptions).toBe(subs);
    });
  });
});

describe('shareMany: while a value is passed on', () => {
  /** A shared Subject, and what each subscriber, named by a letter, heard: `a1` is what a heard of 1. */
  function party() {
    const source$ = new Subject<number>();
    const shared$ = source$.pipe(shareMany());
    const heard: string[] = [];
    const join = (name: string, then?: (value: number) => void): Subscription =>
      shared$.subscribe((value) => {
        heard.push(`${name}${value}`);
        then?.(value);
      });
    return { source$, heard, join };
  }

  test('who subscribes gets that value too, once', () => {
    const { source$, heard, join } = party();
    join('a', (value) => {
      if (value === 1) join('c');
    });
    join('b');
    source$.next(1);
    expect(heard).toEqual(['a1', 'b1', 'c1']);
    source$.next(2);
    expect(heard).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'c2']);
  });

  test('who is made to leave before its turn does not get that value', () => {
    const { source$, heard, join } = party();
    join('a', () => {
      b.unsubscribe();
    });
    const b = join('b');
    join('c');
    source$.next(1);
    expect(heard).toEqual(['a1', 'c1']);
  });

  test('who leaves by itself makes nobody miss that value', () => {
    const { source$, heard, join } = party();
    const a = join('a', () => {
      a.unsubscribe();
    });
    join('b');
    source$.next(1);
    source$.next(2);
    expect(heard).toEqual(['a1', 'b1', 'b2']);
  });

  test('all may leave, and the source is left with the last', () => {
    const { source$, heard, join } = party();
    const all = ['a', 'b', 'c'].map((name) =>
      join(name, () => {
        for (const one of all) one.unsubscribe();
      }),
    );
    source$.next(1);
    expect(heard).toEqual(['a1']);
    expect(source$.observed).toBe(false);
  });

  test('who comes when all have just left gets the next value, not this one', () => {
    const { source$, heard, join } = party();
    const a = join('a', () => {
      a.unsubscribe();
      join('b');
    });
    source$.next(1);
    source$.next(2);
    expect(heard.filter((what) => what.endsWith('2'))).toEqual(['b2']);
    expect(source$.observed).toBe(true);
  });
});

describe('shareMany: a source that speaks while it is subscribed to', () => {
  test('gives the first subscriber what it says', () => {
    marbles(({ expectObservable }) => {
      const shared$ = of('a', 'b').pipe(shareMany());

      expectObservable(shared$).toBe('(ab|)');
    });
  });

  test('is subscribed to anew by the next when it has ended at once', () => {
    let connections = 0;
    const shared$ = new Observable<never>((subscriber) => {
      connections += 1;
      subscriber.complete();
    }).pipe(shareMany());
    const ends: string[] = [];
    shared$.subscribe({ complete: () => ends.push('first') });
    shared$.subscribe({ complete: () => ends.push('second') });
    expect(ends).toEqual(['first', 'second']);
    expect(connections).toBe(2);
  });

  test('is left with the last subscriber, who came while it told that it had ended at once', () => {
    let connections = 0;
    let left = 0;
    const shared$ = new Observable<string>((subscriber) => {
      connections += 1;
      if (connections === 1) subscriber.complete();
      return () => {
        left += 1;
      };
    }).pipe(shareMany());
    const stays = new Subscription();
    shared$.subscribe({
      complete: () => {
        stays.add(shared$.subscribe());
      },
    });
    expect([connections, left]).toEqual([2, 1]);
    stays.unsubscribe();
    expect([connections, left]).toEqual([2, 2]);
  });

  test('is left when its only subscriber leaves meanwhile', () => {
    let left = 0;
    const source$ = new Observable<string>((subscriber) => {
      subscriber.next('a');
      return () => {
        left += 1;
      };
    });
    const shared$ = source$.pipe(shareMany());
    const heard: string[] = [];
    shared$.pipe(take(1)).subscribe((value) => heard.push(value));
    expect(heard).toEqual(['a']);
    expect(left).toBe(1);
  });

  test('has one connection at a time, though its first subscriber left meanwhile', () => {
    let connected = 0;
    const source$ = new Observable<string>((subscriber) => {
      connected += 1;
      subscriber.next('a');
      return () => {
        connected -= 1;
      };
    });
    const shared$ = source$.pipe(shareMany());
    shared$.pipe(take(1)).subscribe();
    const stays = shared$.subscribe();
    expect(connected).toBe(1);
    stays.unsubscribe();
    expect(connected).toBe(0);
  });
});
