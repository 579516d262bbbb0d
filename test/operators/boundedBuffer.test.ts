import { describe, expect, test } from '@jest/globals';
import { Observable, Subject, take, tap } from 'rxjs';
import {
  BufferOverflowError,
  boundedBuffer,
  type BoundedBufferOptions,
  type Consumer,
  type DropOldest,
} from '../../src/operators/boundedBuffer.js';
import { rowConsumer, type RowConsumer } from '../support/consumer.js';
import { marbles } from '../support/marbles.js';

/**
 * Items are texts, each letter a message of ten bytes: 'abc' is an item of three. Capitals may not be dropped, '!' never waits, and
 * '.' counts nothing.
 */
function weigh(item: string) {
  if (item === '!') return undefined;
  return item === '.' ? { messages: 0, bytes: 0 } : { messages: item.length, bytes: 10 * item.length };
}

const dropOldest: DropOldest<string> = {
  mayDrop: (item) => item === item.toLowerCase(),
  withoutOldest: (item) => (item.length > 1 ? item.slice(1) : undefined),
  gap: (dropped, present) => present ?? `gap from ${dropped}`,
};

/** Room for three messages. */
function buffer(consumer: Consumer, options: Partial<BoundedBufferOptions<string>> = {}) {
  return boundedBuffer(consumer, { maxMessages: 3, maxBytes: 1000, weigh, ...options });
}

const LETTERS = { a: 'a', b: 'b', c: 'c', d: 'd', e: 'e', f: 'f', g: 'g', h: 'h' };
const OVERFLOW: unknown = expect.any(BufferOverflowError);

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

  test('listens to the consumer only while something waits', () => {
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

  test('asks the consumer before each item, and believes that rather than a sign that it takes more', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('             -a-b------');
      const w1 = rowConsumer(hot, 'f-------t-');
      const sign = hot('           -----x----');
      const expected = '           --------(ab)';

      sign.subscribe(w1.writable$);
      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
    });
  });

  test('takes the consumer to be ready until it says otherwise', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b---');
      const w1 = rowConsumer(hot, '  --f--t-');
      const expected = '-a---b-';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
    });
  });

  test('keeps items in order while the consumer takes none, and lets them go when it does', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-c-------d-');
      const w1 = rowConsumer(hot, '  f-------t------');
      const expected = '--------(abc)d-';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
    });
  });

  test('says nothing when the consumer is ready and nothing waits', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  ---a-');
      const w1 = rowConsumer(hot, '  ftf-t');
      const expected = '----a';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
    });
  });

  test('passes an item that finds the consumer ready whole, whatever its weight', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { x: 'abcdefgh' };
      const e1 = hot('  -x--x-', values);
      const w1 = rowConsumer(hot, '  --ft--');
      const expected = '-x--x-';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected, values);
      expectObservable(e1.pipe(buffer(w1, { maxMessages: 0, maxBytes: 0 }))).toBe(expected, values);
    });
  });

  test('lets an item without a weight overtake, counted nowhere', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { n: '!', a: 'a', b: 'b', c: 'c' };
      const e1 = hot('  -anbncn---', values);
      const w1 = rowConsumer(hot, '  f------t--');
      const expected = '--n-n-n(abc)';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected, values);
    });
  });

  test('keeps the place of an item that weighs zero, and counts it nowhere', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a.b.c.--------.');
      const w1 = rowConsumer(hot, '  f------t--------');
      const expected = '-------(a.b.c.).';

      expectObservable(e1.pipe(buffer(w1))).toBe(expected);
    });
  });
});

describe('boundedBuffer: the end', () => {
  test('completes at once when nothing waits, even while the consumer takes nothing', () => {
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

  test('passes an error of the source on at once; what waits is lost', () => {
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

  test('goes on as it was when writable$ completes', () => {
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

  test('unsubscribes from both, and lets nothing go any more', () => {
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

  test('ends where its consumer ends, in the middle of letting go', () => {
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

describe('boundedBuffer: overflow', () => {
  test('errors with the message that is one too many', () => {
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

  test('errors with the byte that is one too many', () => {
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

  test('counts only what waits: what has gone makes room again', () => {
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

  test('drops nothing where everything fits', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-c---');
      const w1 = rowConsumer(hot, '  f------t-');
      const expected = '-------(abc)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest, maxBytes: 30 }))).toBe(expected);
    });
  });

  test('drops for bytes as it does for messages', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, 1: 'gap from a' };
      const e1 = hot('  -a-b-c---');
      const w1 = rowConsumer(hot, '  f------t-');
      const expected = '-------(1c)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest, maxBytes: 19 }))).toBe(expected, values);
    });
  });

  test('takes single messages off an item of several', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, x: 'abc', y: 'bc', 1: 'gap from abc' };
      const e1 = hot('  -x-d---', values);
      const w1 = rowConsumer(hot, '  f----t-');
      const expected = '-----(1yd)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, values);
    });
  });

  test('goes on from a shortened item to the next ones, still with one gap', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, x: 'ab', y: 'cde', z: 'de', 1: 'gap from ab' };
      const e1 = hot('  -x-y-f---', values);
      const w1 = rowConsumer(hot, '  f------t-');
      const expected = '-------(1zf)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, values);
    });
  });

  test('lets the policy change the gap with each drop, until it has gone out', () => {
    const gap = (dropped: string, present: string | undefined) => `${present ?? '.'}${dropped}`;
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, 1: '.ab', 2: '.c' };
      const e1 = hot('  -abcde----------cdef--', values);
      const w1 = rowConsumer(hot, '  f-----t--------f----t-');
      const expected = '------(1cde)--------(2def)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest: { ...dropOldest, gap } }))).toBe(expected, values);
    });
  });

  test('shortens even the item that has just come', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, x: 'bcdef', y: 'def', 1: 'gap from a' };
      const e1 = hot('  -a-x---', values);
      const w1 = rowConsumer(hot, '  f----t-');
      const expected = '-----(1y)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, values);
    });
  });

  test('puts a new gap for a hole that comes after the last gap went out', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, 1: 'gap from a', 2: 'gap from e' };
      const e1 = hot('  -a-b-c-d--------e-f-g-h---');
      const w1 = rowConsumer(hot, '  f--------t----f---------t-');
      const expected = '---------(1bcd)---------(2fgh)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, values);
    });
  });

  test('puts a new gap in front when only the last gap went out', () => {
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

  test('never drops what may not be dropped, and puts the gap behind it', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, A: 'A', 1: 'gap from b' };
      const e1 = hot('  -A-b-c-d-e---', values);
      const w1 = rowConsumer(hot, '  f----------t-');
      const expected = '-----------(A1de)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, values);
    });
  });

  test('keeps one gap when messages are dropped on both sides of what may not be dropped', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, B: 'B', 1: 'gap from a' };
      const e1 = hot('  -a-B-c-d-e---', values);
      const w1 = rowConsumer(hot, '  f----------t-');
      const expected = '-----------(1Bde)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, values);
    });
  });

  test('drops the item that has just come when it is the only one that may be dropped', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { ...LETTERS, A: 'A', B: 'B', C: 'C', 1: 'gap from d' };
      const e1 = hot('  -A-B-C-d---', values);
      const w1 = rowConsumer(hot, '  f--------t-');
      const expected = '---------(ABC1)';

      expectObservable(e1.pipe(buffer(w1, { dropOldest }))).toBe(expected, values);
    });
  });

  test('errors when only what may not be dropped is left', () => {
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

  test('never drops an item that weighs zero', () => {
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
  const TOLD = { 0: 0, 2: 2, 3: 3, 4: 4 };

  test('is told once, when it completes', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-c----d-e-|   ');
      const w1 = rowConsumer(hot, '  f-------t--f-----t');
      const expected = '-----------------3';

      expectObservable(told(e1, w1)).toBe(expected, TOLD);
    });
  });

  test('is told when it errors', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-#');
      const w1 = rowConsumer(hot, '  f-----');
      const expected = '-----2';

      expectObservable(told(e1, w1)).toBe(expected, TOLD);
    });
  });

  test('takes in what made it overflow', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-c-d-e');
      const w1 = rowConsumer(hot, '  f---------');
      const expected = '-------4  ';

      expectObservable(told(e1, w1)).toBe(expected, TOLD);
    });
  });

  test('is told when the consumer goes', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b----');
      const w1 = rowConsumer(hot, '  f---t---');
      const unsub = '   ------! ';
      const expected = '------2 ';

      const told$ = new Subject<number>();
      expectObservable(told$).toBe(expected, TOLD);
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

  test('is zero where nothing ever waited, however much went through', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a--b-c|');
      const w1 = rowConsumer(hot, '  --ft----');
      const expected = '-------0';

      expectObservable(told(e1, w1)).toBe(expected, TOLD);
    });
  });

  test('counts messages, not items, and neither a gap nor what was dropped', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -x-c-d-|', { x: 'ab', c: 'c', d: 'd' });
      const w1 = rowConsumer(hot, '  f------t');
      const expected = '-------3';

      expectObservable(told(e1, w1, { dropOldest })).toBe(expected, TOLD);
    });
  });
});

describe('boundedBuffer: a consumer that answers while it is handed an item', () => {
  test('makes the next item wait', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('     -a-b---c-');
      const consumer = rowConsumer(hot, '  -----t---');
      const expected = '   -a---b---';

      expectObservable(e1.pipe(buffer(consumer), closing(consumer))).toBe(expected);
    });
  });

  test('stops the letting go after that item', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('     -a-b-c-|         ');
      const consumer = rowConsumer(hot, '  f--------t--t--t');
      const expected = '   ---------a--b--(c|)';

      expectObservable(e1.pipe(buffer(consumer), closing(consumer))).toBe(expected);
    });
  });

  test('makes room with each single item it takes', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('     -a-b-c---d---e-|    ');
      const consumer = rowConsumer(hot, '  f------t---t------t-');
      const expected = '   -------a---b------c-';

      expectObservable(e1.pipe(buffer(consumer, { maxBytes: 30 }), closing(consumer))).toBe(expected);
    });
  });

  test('gets each waiting item once and in order when it says yes again', () => {
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

  test('gets what it causes behind what waits', () => {
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

/** Says no with each item it is handed. */
function closing(consumer: RowConsumer) {
  return tap<string>(() => {
    consumer.isWritable = false;
  });
}

/** What `highWater` is told, and when. */
function told(source: Observable<string>, consumer: Consumer, options: Partial<BoundedBufferOptions<string>> = {}) {
  return new Observable<number>((subscriber) => {
    const highWater = (messages: number) => {
      subscriber.next(messages);
    };
    return source.pipe(buffer(consumer, { ...options, highWater })).subscribe({ error: () => undefined });
  });
}
