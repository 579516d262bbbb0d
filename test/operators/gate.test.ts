import { describe, expect, test } from '@jest/globals';
import { BehaviorSubject, Subject, last, scan, take, tap, type Observable } from 'rxjs';
import { GateOverflowError, gate } from '../../src/operators/gate.js';
import { marbles } from '../support/marbles.js';

const IS = { t: true, f: false };
const HELD = { 0: 0, 1: 1, 2: 2, 3: 3 };
const OVERFLOW: unknown = expect.any(GateOverflowError);

/** A gate that holds three, and the number of waiting values that it reports. */
function gated(open$: Observable<boolean>, capacity = 3) {
  const held = new Subject<number>();
  return { held, through: gate<string>({ open$, capacity, weigh: () => 1, held }) };
}

describe('gate', () => {
  test('passes values while it is open', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-|');
      const o1 = hot('  t-----', IS);
      const subs = '    ^----!';
      const expected = '-a-b-|';
      const waiting = ' ------';

      const { held, through } = gated(o1);
      expectObservable(held).toBe(waiting);
      expectObservable(e1.pipe(through)).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(o1.subscriptions).toBe(subs);
    });
  });

  test('is closed until open$ emits true', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b---');
      const o1 = hot('  -----t-', IS);
      const expected = '-----(ab)';
      const waiting = ' -1-2-0';

      const { held, through } = gated(o1);
      expectObservable(held).toBe(waiting, HELD);
      expectObservable(e1.pipe(through)).toBe(expected);
    });
  });

  test('is open from the start when open$ replays true', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  a-b-|');
      const expected = 'a-b-|';

      expectObservable(e1.pipe(gated(new BehaviorSubject(true)).through)).toBe(expected);
    });
  });

  test('holds values in order while it is closed, and reports their number at each change', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-c-----d-e--');
      const o1 = hot('  t-f----t--f----t', IS);
      const expected = '-a-----(bc)----(de)';
      const waiting = ' ---1-2-0---1-2-0';

      const { held, through } = gated(o1);
      expectObservable(held).toBe(waiting, HELD);
      expectObservable(e1.pipe(through)).toBe(expected);
    });
  });

  test('reports nothing when it opens and nothing waits', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  ------a');
      const o1 = hot('  -t-f-t-', IS);
      const expected = '------a';
      const waiting = ' ------';

      const { held, through } = gated(o1);
      expectObservable(held).toBe(waiting, HELD);
      expectObservable(e1.pipe(through)).toBe(expected);
    });
  });
});

describe('gate: the end', () => {
  test('completes at once when nothing waits, even while it is closed', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-|');
      const o1 = hot('  t-f-', IS);
      const subs = '    ^--!';
      const expected = '-a-|';

      expectObservable(e1.pipe(gated(o1).through)).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(o1.subscriptions).toBe(subs);
    });
  });

  test('completes after the last held value, when the source had completed before', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-|   ');
      const e1subs = '  ^----!   ';
      const o1 = hot('  f-------t', IS);
      const o1subs = '  ^-------!';
      const expected = '--------(ab|)';

      expectObservable(e1.pipe(gated(o1).through)).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(o1.subscriptions).toBe(o1subs);
    });
  });

  test('passes an error of the source on at once and discards what waits', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-#  ');
      const o1 = hot('  t-f----t', IS);
      const subs = '    ^----!  ';
      const expected = '-a---#  ';

      expectObservable(e1.pipe(gated(o1).through)).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(o1.subscriptions).toBe(subs);
    });
  });

  test('passes an error of open$ on', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b---');
      const o1 = hot('  t-f-#  ', IS);
      const subs = '    ^---!  ';
      const expected = '-a--#  ';

      expectObservable(e1.pipe(gated(o1).through)).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(o1.subscriptions).toBe(subs);
    });
  });

  test('passes an error of open$ on though the source has completed', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-|   ');
      const o1 = hot('  f-----#', IS);
      const expected = '------#';

      expectObservable(e1.pipe(gated(o1).through)).toBe(expected);
    });
  });

  test('ignores the completion of open$', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-|');
      const o1 = hot('  (t|)  ', IS);
      const expected = '-a-b-|';

      expectObservable(e1.pipe(gated(o1).through)).toBe(expected);
    });
  });

  test('unsubscribes from the source and from open$, and releases nothing more', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b---');
      const o1 = hot('  t-f---t', IS);
      const unsub = '   ----!  ';
      const subs = '    ^---!  ';
      const expected = '-a-----';

      expectObservable(e1.pipe(gated(o1).through), unsub).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(o1.subscriptions).toBe(subs);
    });
  });

  test('stops releasing when its subscriber unsubscribes', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-c---');
      const o1 = hot('  f-----t--', IS);
      const subs = '    ^-----!  ';
      const expected = '------(ab|)';
      const waiting = ' -1-2-30--';

      const { held, through } = gated(o1);
      expectObservable(held).toBe(waiting, HELD);
      expectObservable(e1.pipe(through, take(2))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(o1.subscriptions).toBe(subs);
    });
  });
});

describe('gate: the reported weight', () => {
  test('is the sum of the weights of the waiting values', () => {
    marbles(({ hot, expectObservable }) => {
      const values = { a: 'xxx', b: 'x', c: 'xx' };
      const e1 = hot('  -a-b------c----', values);
      const o1 = hot('  f----t---f---t-', IS);
      const expected = '-----(ab)----c-';
      const waiting = ' -3-4-0----2--0-';

      const held = new Subject<number>();
      const through = gate<string>({ open$: o1, capacity: 3, weigh: ({ length }) => length, held });
      expectObservable(held).toBe(waiting, { 3: 3, 4: 4, 0: 0, 2: 2 });
      expectObservable(e1.pipe(through)).toBe(expected, values);
    });
  });

  test('is 0 after its subscriber unsubscribed', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b---');
      const o1 = hot('  f------', IS);
      const unsub = '   -----! ';
      const waiting = ' -1-2-0-';

      const { held, through } = gated(o1);
      expectObservable(held).toBe(waiting, HELD);
      expectObservable(e1.pipe(through), unsub).toBe('-------');
    });
  });

  test('is 0 after its subscriber unsubscribed at the last waiting value', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b---');
      const o1 = hot('  f----t-', IS);
      const expected = '-----(ab|)';
      const waiting = ' -1-2-0-';

      const { held, through } = gated(o1);
      expectObservable(held).toBe(waiting, HELD);
      expectObservable(e1.pipe(through, take(2))).toBe(expected);
    });
  });

  test('is 0 after its subscriber unsubscribed later than the source completed', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-|   ');
      const o1 = hot('  f--------', IS);
      const unsub = '   -------! ';
      const waiting = ' -1-2---0-';

      const { held, through } = gated(o1);
      expectObservable(held).toBe(waiting, HELD);
      expectObservable(e1.pipe(through), unsub).toBe('-------');
    });
  });

  test('is 0 after an error of the source', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-#');
      const o1 = hot('  f-----', IS);
      const waiting = ' -1-2-0';

      const { held, through } = gated(o1);
      expectObservable(held).toBe(waiting, HELD);
      expectObservable(e1.pipe(through)).toBe('-----#');
    });
  });
});

describe('gate: overflow', () => {
  test('errors at the first value above capacity', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-c-d--');
      const o1 = hot('  f--------t', IS);
      const subs = '    ^------!  ';
      const expected = '-------#  ';
      const waiting = ' -1-2-3-0-';

      const { held, through } = gated(o1);
      expectObservable(held).toBe(waiting, HELD);
      expectObservable(e1.pipe(through)).toBe(expected, undefined, OVERFLOW);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(o1.subscriptions).toBe(subs);
    });
  });

  test('names its capacity in the error', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-');
      const o1 = hot('  f--', IS);
      const expected = '-# ';

      expectObservable(e1.pipe(gated(o1, 0).through)).toBe(expected, undefined, new GateOverflowError('more than 0 values wait'));
    });
  });

  test('counts only what waits: released values make room', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-c-----d-e-f--');
      const o1 = hot('  f------t--f------t', IS);
      const expected = '-------(abc)-----(def)';

      expectObservable(e1.pipe(gated(o1).through)).toBe(expected);
    });
  });
});

describe('gate: a consumer that changes the gate while it is given a value', () => {
  test('stops the release when it closes the gate', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('     -a-b-c-d-|          ');
      const ready = hot('  t---------t---t---t', IS);
      const expected = '   -a--------b---c---(d|)';
      const waiting = '    ---1-2-3--2---1---0 ';

      const open$ = new BehaviorSubject(false);
      ready.subscribe(open$);
      const { held, through } = gated(open$);
      expectObservable(held).toBe(waiting, HELD);
      expectObservable(e1.pipe(through, closing(open$))).toBe(expected);
    });
  });

  test('gets each held value once and in order when it opens the gate again', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-c-| ');
      const o1 = hot('  --------t', IS);
      const expected = '--------(abc|)';

      const open$ = new BehaviorSubject(false);
      o1.subscribe(open$);
      const again = tap(() => {
        open$.next(true);
      });
      expectObservable(e1.pipe(gated(open$).through, again)).toBe(expected);
    });
  });

  test('gets the values that it causes after the one it was given, also after the last that waited', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a------');
      const o1 = hot('  f----t--', IS);
      const expected = '-----(ax)';

      const { source$, echo } = echoing(e1, 'a', 'x');
      expectObservable(source$.pipe(gated(o1).through, echo)).toBe(expected);
    });
  });

  test('gets the values that it causes behind those that wait', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b----');
      const o1 = hot('  f----t--', IS);
      const expected = '-----(abx)';

      const { source$, echo } = echoing(e1, 'a', 'x');
      expectObservable(source$.pipe(gated(o1).through, echo)).toBe(expected);
    });
  });

  test('can use the place of the value it was given for one that it causes', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b----');
      const o1 = hot('  f----t--', IS);
      const expected = '-----(abx)';

      const { source$, echo } = echoing(e1, 'a', 'x');
      expectObservable(source$.pipe(gated(o1, 2).through, echo)).toBe(expected);
    });
  });

  test('never makes it report more than wait', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b---|');
      const o1 = hot('  f----t--', IS);

      const { source$, echo } = echoing(e1, 'a', 'x');
      const { held, through } = gated(o1);
      const most$ = held.pipe(scan((most, count) => Math.max(most, count), 0));
      expectObservable(most$.pipe(last())).toBe('-------(2|)', HELD);
      source$.pipe(through, echo).subscribe({
        complete: () => {
          held.complete();
        },
      });
    });
  });
});

/** Closes the gate with each value it is handed. */
function closing(open$: Subject<boolean>) {
  return tap<string>(() => {
    open$.next(false);
  });
}

/** A source to which the consumer adds a value while it is handed another. */
function echoing(e1: Observable<string>, to: string, echoed: string) {
  const source$ = new Subject<string>();
  e1.subscribe(source$);
  const echo = tap((value: string) => {
    if (value === to) source$.next(echoed);
  });
  return { source$, echo };
}
