import { describe, expect, test } from '@jest/globals';
import { BehaviorSubject, Subject, last, scan, take, tap, type Observable } from 'rxjs';
import { GateOverflowError, gate } from '../../src/operators/gate.js';
import { marbles } from '../support/marbles.js';

const IS = { t: true, f: false };
const HELD = { 0: 0, 1: 1, 2: 2, 3: 3 };
const OVERFLOW: unknown = expect.any(GateOverflowError);

/** A gate that holds three, and what it tells of how many wait. */
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

  test('is closed until it hears otherwise', () => {
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

  test('is open from the start when open$ replays that it is', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  a-b-|');
      const expected = 'a-b-|';

      expectObservable(e1.pipe(gated(new BehaviorSubject(true)).through)).toBe(expected);
    });
  });

  test('holds values in order while it is closed, and tells at each change how many', () => {
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

  test('says nothing when it opens and nothing waits', () => {
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

  test('passes an error of the source on at once; what waits is lost', () => {
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

  test('stays as it is when open$ completes', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-|');
      const o1 = hot('  (t|)  ', IS);
      const expected = '-a-b-|';

      expectObservable(e1.pipe(gated(o1).through)).toBe(expected);
    });
  });

  test('unsubscribes from both, and lets nothing go any more', () => {
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

  test('ends where its consumer ends, in the middle of letting go', () => {
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

describe('gate: what was told to wait', () => {
  test('is what the values weigh together', () => {
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

  test('is taken back where its consumer goes', () => {
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

  test('is taken back where the consumer ends with the last that waited', () => {
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

  test('is taken back where the consumer goes after the source has completed', () => {
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

  test('is taken back where the source errs', () => {
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
  test('errors with the value that is one too many', () => {
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

  test('says in its error how many may wait', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-');
      const o1 = hot('  f--', IS);
      const expected = '-# ';

      expectObservable(e1.pipe(gated(o1, 0).through)).toBe(expected, undefined, new GateOverflowError('more than 0 values wait'));
    });
  });

  test('counts only what waits: what has gone makes room again', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b-c-----d-e-f--');
      const o1 = hot('  f------t--f------t', IS);
      const expected = '-------(abc)-----(def)';

      expectObservable(e1.pipe(gated(o1).through)).toBe(expected);
    });
  });
});

describe('gate: a consumer that answers while it is handed a value', () => {
  test('stops the letting go when it closes the gate', () => {
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

  test('gets what it causes after what it was handed, the last that waited too', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a------');
      const o1 = hot('  f----t--', IS);
      const expected = '-----(ax)';

      const { source$, echo } = echoing(e1, 'a', 'x');
      expectObservable(source$.pipe(gated(o1).through, echo)).toBe(expected);
    });
  });

  test('gets what it causes behind what waits', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b----');
      const o1 = hot('  f----t--', IS);
      const expected = '-----(abx)';

      const { source$, echo } = echoing(e1, 'a', 'x');
      expectObservable(source$.pipe(gated(o1).through, echo)).toBe(expected);
    });
  });

  test('finds room for what it causes in the place of what it was handed', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-b----');
      const o1 = hot('  f----t--', IS);
      const expected = '-----(abx)';

      const { source$, echo } = echoing(e1, 'a', 'x');
      expectObservable(source$.pipe(gated(o1, 2).through, echo)).toBe(expected);
    });
  });

  test('never makes it tell of more than wait', () => {
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
