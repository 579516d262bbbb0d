import { describe, test } from '@jest/globals';
import { Observable, Subject } from 'rxjs';
import { BufferOverflowError, type BoundedBufferOptions, type Consumer } from '../../src/operators/boundedBuffer.js';
import { rowConsumer } from '../support/consumer.js';
import { marbles } from '../support/marbles.js';
import { buffer, closing, dropOldest, LETTERS, OVERFLOW } from './letter-buffer.js';

describe('boundedBuffer: overflow', () => {
  test('errors at the first message above maxMessages', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-c-d--');
      const w1 = rowConsumer(hot, '  f---------');
      const subs = '    ^------!  ';
      const w1subs = '  -^-----!  ';
      const expected = '-------#  ';

      const error = new BufferOverflowError('4 messages, 40 bytes wait');
      expectObservable(e1.pipe(buffer(w1))).toBe(expected, undefined, error);
      expectObservable(e1.pipe(buffer(w1))).toBe(expected, undefined, OVERFLOW);
      expectSubscriptions(e1.subscriptions).toBe([subs, subs]);
      expectSubscriptions(w1.writable$.subscriptions).toBe([w1subs, w1subs]);
    });
  });

  test('errors at the first byte above maxBytes', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-c---');
      const w1 = rowConsumer(hot, '  f--------');
      const fits = '    ---------';
      const overflows = '-----#   ';

      expectObservable(e1.pipe(buffer(w1, { maxBytes: 30 }))).toBe(fits);
      expectObservable(e1.pipe(buffer(w1, { maxBytes: 29 }))).toBe(overflows, undefined, OVERFLOW);
    });
  });

  test('counts each message of an item', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { x: 'abc', y: 'abcd' };
      const w1 = rowConsumer(hot, '    f---');
      const fits = '      ----';
      const overflows = ' -#  ';

      expectObservable(hot('-x--', values).pipe(buffer(w1))).toBe(fits);
      expectObservable(hot('-y--', values).pipe(buffer(w1))).toBe(overflows, undefined, OVERFLOW);
    });
  });

  test('counts only what waits: released items make room', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-c-------d-e-f---');
      const w1 = rowConsumer(hot, '  f-------t---f------t');
      const expected = '--------(abc)------(def)';

      expectObservable(e1.pipe(buffer(w1, { maxBytes: 30 }))).toBe(expected);
    });
  });
});

describe('boundedBuffer: drop-oldest', () => {
  test('drops the oldest messages and puts one gap where they were', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, 1: 'gap from a' };
      const e1 = hot('  -a-b-c-d-e-|');
      const w1 = rowConsumer(hot, '  f------------t');
      const expected = '-------------(1cde|)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, values);
    });
  });

  test('drops nothing while everything fits', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-c---');
      const w1 = rowConsumer(hot, '  f------t-');
      const expected = '-------(abc)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest, maxBytes: 30 }))).toBe(expected);
    });
  });

  test('drops messages to keep maxBytes too', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, 1: 'gap from a' };
      const e1 = hot('  -a-b-c---');
      const w1 = rowConsumer(hot, '  f------t-');
      const expected = '-------(1c)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest, maxBytes: 19 }))).toBe(expected, values);
    });
  });

  test('drops single messages of an item of several', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, x: 'abc', y: 'bc', 1: 'gap from abc' };
      const e1 = hot('  -x-d---', values);
      const w1 = rowConsumer(hot, '  f----t-');
      const expected = '-----(1yd)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, values);
    });
  });

  test('goes on with the next items after a shortened one, with one gap', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, x: 'ab', y: 'cde', z: 'de', 1: 'gap from ab' };
      const e1 = hot('  -x-y-f---', values);
      const w1 = rowConsumer(hot, '  f------t-');
      const expected = '-------(1zf)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, values);
    });
  });

  test('lets the policy change the gap with each drop, until the gap is released', () => {
    const gap = (dropped: string, present: string | undefined) => `${present ?? '.'}${dropped}`;
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, 1: '.ab', 2: '.c' };
      const e1 = hot('  -abcde----------cdef--', values);
      const w1 = rowConsumer(hot, '  f-----t--------f----t-');
      const expected = '------(1cde)--------(2def)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest: { ...dropOldest, gap } }))).toBe(expected, values);
    });
  });

  test('shortens the newest item if necessary', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, x: 'bcdef', y: 'def', 1: 'gap from a' };
      const e1 = hot('  -a-x---', values);
      const w1 = rowConsumer(hot, '  f----t-');
      const expected = '-----(1y)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, values);
    });
  });

  test('makes a new gap for messages dropped after the last gap was released', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, 1: 'gap from a', 2: 'gap from e' };
      const e1 = hot('  -a-b-c-d--------e-f-g-h---');
      const w1 = rowConsumer(hot, '  f--------t----f---------t-');
      const expected = '---------(1bcd)---------(2fgh)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, values);
    });
  });

  test('puts a new gap in front when only the last gap was released', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, 1: 'gap from a', 2: 'gap from b' };
      const e1 = hot('     -a-b-c-d---e-f-----');
      const consumer = rowConsumer(hot, '  f--------t-------t-');
      const expected = '   ---------1-------2-';

      // The consumer takes one item whenever it is ready.
      const taken$ = e1.pipe(buffer(consumer, { dropOldest }), closing(consumer));
      expectObservable(taken$).toBe(expected, values);
    });
  });

  test('never drops an item that may not be dropped, and puts the gap behind it', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, A: 'A', 1: 'gap from b' };
      const e1 = hot('  -A-b-c-d-e---', values);
      const w1 = rowConsumer(hot, '  f----------t-');
      const expected = '-----------(A1de)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, values);
    });
  });

  test('keeps one gap when messages are dropped on both sides of an item that may not be dropped', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, B: 'B', 1: 'gap from a' };
      const e1 = hot('  -a-B-c-d-e---', values);
      const w1 = rowConsumer(hot, '  f----------t-');
      const expected = '-----------(1Bde)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, values);
    });
  });

  test('drops the newest item when it is the only one that may be dropped', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, A: 'A', B: 'B', C: 'C', 1: 'gap from d' };
      const e1 = hot('  -A-B-C-d---', values);
      const w1 = rowConsumer(hot, '  f--------t-');
      const expected = '---------(ABC1)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, values);
    });
  });

  test('errors when only items that may not be dropped are left', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const values = { ...LETTERS, A: 'A', B: 'B', C: 'C', D: 'D' };
      const e1 = hot('  -A-b-B-C-D--', values);
      const w1 = rowConsumer(hot, '  f-----------');
      const subs = '    ^--------!  ';
      const w1subs = '  -^-------!  ';
      const expected = '---------#  ';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, undefined, OVERFLOW);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(w1.writable$.subscriptions).toBe(w1subs);
    });
  });

  test('never drops an item of weight zero', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, '.': '.', 1: 'gap from a' };
      const e1 = hot('  -.-a-b-c-d---', values);
      const w1 = rowConsumer(hot, '  f----------t-');
      const expected = '-----------(.1bcd)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, values);
    });
  });
});

describe('boundedBuffer: the high-water mark', () => {
  const REPORTED = { 0: 0, 2: 2, 3: 3, 4: 4 };

  test('is reported once, when it completes', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-c----d-e-|   ');
      const w1 = rowConsumer(hot, '  f-------t--f-----t');
      const expected = '-----------------3';

      expectObservable(highWater$(e1, w1)).toBe(expected, REPORTED);
    });
  });

  test('is reported when it errors', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-#');
      const w1 = rowConsumer(hot, '  f-----');
      const expected = '-----2';

      expectObservable(highWater$(e1, w1)).toBe(expected, REPORTED);
    });
  });

  test('includes the item that overflowed', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-c-d-e');
      const w1 = rowConsumer(hot, '  f---------');
      const expected = '-------4  ';

      expectObservable(highWater$(e1, w1)).toBe(expected, REPORTED);
    });
  });

  test('is reported when its subscriber unsubscribes', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b----');
      const w1 = rowConsumer(hot, '  f---t---');
      const unsub = '   ------! ';
      const expected = '------2 ';

      const told$ = new Subject<number>();
      expectObservable(told$).toBe(expected, REPORTED);
      expectObservable(
        e1.pipe(
          buffer(w1, {
            highWater: (messages) => {
              told$.next(messages);
            },
          }),
        ),
        unsub,
      ).toBe('----(ab)');
    });
  });

  test('is zero when nothing ever waited, however much passed', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a--b-c|');
      const w1 = rowConsumer(hot, '  --ft----');
      const expected = '-------0';

      expectObservable(highWater$(e1, w1)).toBe(expected, REPORTED);
    });
  });

  test('counts messages, not items, and neither gaps nor dropped messages', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -x-c-d-|', { x: 'ab', c: 'c', d: 'd' });
      const w1 = rowConsumer(hot, '  f------t');
      const expected = '-------3';

      expectObservable(highWater$(e1, w1, { dropOldest })).toBe(expected, REPORTED);
    });
  });
});

/** Emits what `highWater` is called with. */
function highWater$(source: Observable<string>, consumer: Consumer, options: Partial<BoundedBufferOptions<string>> = {}) {
  return new Observable<number>((subscriber) => {
    const highWater = (messages: number) => {
      subscriber.next(messages);
    };
    return source.pipe(buffer(consumer, { ...options, highWater })).subscribe({ error: () => undefined });
  });
}
