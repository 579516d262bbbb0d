import { describe, test } from '@jest/globals';
import { Subject, take, tap } from 'rxjs';
import { rowConsumer } from '../support/consumer.js';
import { marbles } from '../support/marbles.js';
import { buffer, OVERFLOW, closing } from './letter-buffer.js';

describe('boundedBuffer: passing and waiting', () => {
  test('passes items on while the consumer takes them', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-|');
      const w1 = rowConsumer(hot, '  t-----');
      const subs = '    ^----!';
      const expected = '-a-b-|';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(w1.writable$.subscriptions).toBe([]);
    });
  });

  test('subscribes to writable$ only while something waits', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('             -a-b---c-d--|');
      const e1subs = '             ^-----------!';
      const w1 = rowConsumer(hot, '--f--t--f--t-');
      const w1subs = ['                          ---^-!       ', '                          ---------^-! '];
      const expected = '           -a---b-c---d|';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(w1.writable$.subscriptions).toBe(w1subs);
    });
  });

  test('reads isWritable before each item, also after writable$ emitted', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('             -a-b------');
      const w1 = rowConsumer(hot, 'f-------t-');
      const sign = hot('           -----x----');
      const expected = '           --------(ab)';

      sign.subscribe(w1.writable$);
      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
    });
  });

  test('passes items on until the consumer is no longer writable', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b---');
      const w1 = rowConsumer(hot, '  --f--t-');
      const expected = '-a---b-';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
    });
  });

  test('keeps items in order while the consumer is not writable, and releases them when it is', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-c-------d-');
      const w1 = rowConsumer(hot, '  f-------t------');
      const expected = '--------(abc)d-';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
    });
  });

  test('emits nothing when the consumer becomes writable and nothing waits', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  ---a-');
      const w1 = rowConsumer(hot, '  ftf-t');
      const expected = '----a';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
    });
  });

  test('passes an item of any weight while the consumer is writable', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { x: 'abcdefgh' };
      const e1 = hot('  -x--x-', values);
      const w1 = rowConsumer(hot, '  --ft--');
      const expected = '-x--x-';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected, values);
      expectObservable(e1.pipe(buffer(w1, { maxMessages: 0, maxBytes: 0 }))).toBe(expected, values);
    });
  });

  test('lets an item without a weight overtake, and does not count it', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { n: '!', a: 'a', b: 'b', c: 'c' };
      const e1 = hot('  -anbncn---', values);
      const w1 = rowConsumer(hot, '  f------t--');
      const expected = '--n-n-n(abc)';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected, values);
    });
  });

  test('keeps an item of weight zero in order, and does not count it', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a.b.c.--------.');
      const w1 = rowConsumer(hot, '  f------t--------');
      const expected = '-------(a.b.c.).';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
    });
  });
});

describe('boundedBuffer: the end', () => {
  test('completes at once when nothing waits, even while the consumer is not writable', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-|');
      const w1 = rowConsumer(hot, '  --f-');
      const subs = '    ^--!';
      const expected = '-a-|';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(w1.writable$.subscriptions).toBe([]);
    });
  });

  test('completes after the last item that waited, when the source had completed before', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-|   ');
      const e1subs = '  ^----!   ';
      const w1 = rowConsumer(hot, '  f-------t');
      const w1subs = '  -^------!';
      const expected = '--------(ab|)';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(w1.writable$.subscriptions).toBe(w1subs);
    });
  });

  test('passes an error of the source on at once and discards what waits', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-#  ');
      const w1 = rowConsumer(hot, '  --f---t-');
      const subs = '    ^----!  ';
      const w1subs = '  ---^-!  ';
      const expected = '-a---#  ';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(w1.writable$.subscriptions).toBe(w1subs);
    });
  });

  test('passes an error of writable$ on', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b---');
      const w1 = rowConsumer(hot, '  --f-#  ');
      const subs = '    ^---!  ';
      const w1subs = '  ---^!  ';
      const expected = '-a--#  ';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(w1.writable$.subscriptions).toBe(w1subs);
    });
  });

  test('passes an error of writable$ on though the source has completed', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-|   ');
      const w1 = rowConsumer(hot, '  f-----#');
      const expected = '------#';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
    });
  });

  test('ignores the completion of writable$', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('                -a-b-|');
      const w1 = rowConsumer(hot, '   ft|   ');
      const expected1 = '             -a-b-|';
      const e2 = hot('                -a-b-c-d');
      const w2 = rowConsumer(hot, '   f-|     ');
      const expected2 = '             -------#';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected1);
      expectObservable(e2.pipe(buffer(w2))).toBe(expected2, undefined, OVERFLOW);
    });
  });

  test('unsubscribes from the source and from writable$, and releases nothing more', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b---');
      const w1 = rowConsumer(hot, '  --f---t');
      const unsub = '   ----!  ';
      const subs = '    ^---!  ';
      const w1subs = '  ---^!  ';
      const expected = '-a-----';

      expectObservable(e1.pipe(buffer(w1)), unsub).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(w1.writable$.subscriptions).toBe(w1subs);
    });
  });

  test('stops releasing when its subscriber unsubscribes', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-c---');
      const w1 = rowConsumer(hot, '  f-----t--');
      const subs = '    ^-----!  ';
      const w1subs = '  -^----!  ';
      const expected = '------(ab|)';

      expectObservable(e1.pipe(buffer(w1), take(2))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(w1.writable$.subscriptions).toBe(w1subs);
    });
  });
});

describe('boundedBuffer: a consumer that changes while it is given an item', () => {
  test('makes the next item wait when it is no longer writable', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('     -a-b---c-');
      const consumer = rowConsumer(hot, '  -----t---');
      const expected = '   -a---b---';

      expectObservable(e1.pipe(buffer(consumer), closing(consumer))).toBe(expected);
    });
  });

  test('stops the release after that item when it is no longer writable', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('     -a-b-c-|         ');
      const consumer = rowConsumer(hot, '  f--------t--t--t');
      const expected = '   ---------a--b--(c|)';

      expectObservable(e1.pipe(buffer(consumer), closing(consumer))).toBe(expected);
    });
  });

  test('makes room for one item with each item that it takes', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('     -a-b-c---d---e-|    ');
      const consumer = rowConsumer(hot, '  f------t---t------t-');
      const expected = '   -------a---b------c-';

      expectObservable(e1.pipe(buffer(consumer, { maxBytes: 30 }), closing(consumer))).toBe(expected);
    });
  });

  test('gets each waiting item once and in order when it becomes writable again', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('     -a-b-c-|');
      const consumer = rowConsumer(hot, '  f--------t');
      const expected = '   ---------(abc|)';

      const yes = tap(() => {
        consumer.writable$.next(undefined);
      });
      // The first to hear is the first to be handed an item, so the record is made before the answer.
      const heard$ = new Subject<string>();
      expectObservable(heard$).toBe(expected);
      e1.pipe(buffer(consumer), tap(heard$), yes).subscribe();
    });
  });

  test('gets the items that it causes behind those that wait', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b----');
      const w1 = rowConsumer(hot, '  f----t--');
      const expected = '-----(abx)';

      const source$ = new Subject<string>();
      e1.subscribe(source$);
      const echo = tap((item: string) => {
        if (item === 'a') source$.next('x');
      });
      expectObservable(source$.pipe(buffer(w1), echo)).toBe(expected);
    });
  });
});
