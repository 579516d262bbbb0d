import { describe, expect, test } from '@jest/globals';
import { NEVER, Observable, Subject, Subscription, type OperatorFunction, type Subscriber } from 'rxjs';
import { LeanSubscriber, OperatorSubscriber, listen } from '../../src/operators/operator-subscriber.js';
import { marbles } from '../support/marbles.js';

class Plain extends LeanSubscriber<unknown> {
  constructor(...children: readonly Subscription[]) {
    super();
    for (const child of children) this.add(child);
  }
}

/** Something to end, which notes that under its name. */
function child(name: string, ended: string[]): Subscription {
  return new Subscription(() => ended.push(name));
}

describe('a sink', () => {
  test('ends all that was added to it, once, with itself', () => {
    const ended: string[] = [];
    const sink = new Plain(...['first', 'second', 'third'].map((name) => child(name, ended)));
    sink.add(() => ended.push('function'));
    expect(ended).toEqual([]);
    sink.unsubscribe();
    expect(sink.closed).toBe(true);
    expect([...ended].sort()).toEqual(['first', 'function', 'second', 'third']);
    sink.unsubscribe();
    expect(ended).toHaveLength(4);
  });

  test('ends what was added twice once', () => {
    const ended: string[] = [];
    const sink = new Plain();
    const [first, second] = [child('first', ended), child('second', ended)];
    for (const each of [first, first, second, second, first]) sink.add(each);
    sink.unsubscribe();
    expect([...ended].sort()).toEqual(['first', 'second']);
  });

  test('takes another in place of its first once that has ended', () => {
    const ended: string[] = [];
    const sink = new Plain();
    for (const name of ['first', 'second', 'third']) {
      const each = child(name, ended);
      sink.add(each);
      if (name !== 'third') each.unsubscribe();
    }
    expect(ended).toEqual(['first', 'second']);
    sink.unsubscribe();
    expect(ended).toEqual(['first', 'second', 'third']);
  });

  test('keeps the others when its first has ended', () => {
    const ended: string[] = [];
    const first = child('first', ended);
    const sink = new Plain(first, child('second', ended));
    first.unsubscribe();
    sink.add(child('third', ended));
    sink.unsubscribe();
    expect([...ended].sort()).toEqual(['first', 'second', 'third']);
  });

  test.each(['first', 'second', 'third'])('lets its %s go without ending it', (name) => {
    const ended: string[] = [];
    const children = new Map(['first', 'second', 'third'].map((each) => [each, child(each, ended)]));
    const sink = new Plain(...children.values());
    sink.remove(children.get(name) ?? Subscription.EMPTY);
    sink.unsubscribe();
    expect([...ended].sort()).toEqual([...children.keys()].filter((other) => other !== name).sort());
  });

  test.each([0, 1])('ends what can be unsubscribed from and is no subscription, once, with %i others before it', (others) => {
    const ended: string[] = [];
    const sink = new Plain(...Array.from({ length: others }, (_, nth) => child(String(nth), ended)));
    sink.add({ unsubscribe: () => ended.push('object') });
    sink.add(child('last', ended));
    expect(ended).toEqual([]);
    sink.unsubscribe();
    sink.unsubscribe();
    expect([...ended].sort()).toEqual([...Array.from({ length: others }, (_, nth) => String(nth)), 'last', 'object']);
  });

  test('ends such an object at once where it has ended itself', () => {
    const ended: string[] = [];
    const sink = new Plain();
    sink.unsubscribe();
    sink.add({ unsubscribe: () => ended.push('object') });
    expect(ended).toEqual(['object']);
  });

  test('forgets a function that is removed', () => {
    const ended: string[] = [];
    const sink = new Plain();
    const note = () => {
      ended.push('function');
    };
    sink.add(note);
    sink.remove(note);
    sink.unsubscribe();
    expect(ended).toEqual([]);
  });

  test('ends at once what is added when it has ended', () => {
    const ended: string[] = [];
    const sink = new Plain();
    sink.unsubscribe();
    sink.add(child('late', ended));
    sink.add(() => ended.push('late function'));
    expect(ended).toEqual(['late', 'late function']);
  });

  test('takes nothing and what has ended already for nothing to do', () => {
    const ended: string[] = [];
    const sink = new Plain();
    const over = child('over', ended);
    over.unsubscribe();
    sink.add(over);
    sink.add(undefined);
    sink.unsubscribe();
    expect(ended).toEqual(['over']);
  });

  test.each(['unsubscribes', 'completes', 'errors'])('ends its source when it %s', (how) => {
    const source$ = new Subject<unknown>();
    const sink = new (class extends LeanSubscriber<unknown> {
      protected override _error(): void {
        this.unsubscribe();
      }
    })();
    source$.subscribe(sink);
    expect(source$.observed).toBe(true);
    if (how === 'unsubscribes') sink.unsubscribe();
    else if (how === 'completes') sink.complete();
    else sink.error(new Error('x'));
    expect(source$.observed).toBe(false);
  });
});

/** Passes values on, and what a second source says in capitals. */
class Doubling extends OperatorSubscriber<string, string> {
  constructor(output: Subscriber<string>, side$: Observable<string>) {
    super(output);
    listen(this, output, side$, this.#side);
  }

  protected override take(value: string): void {
    if (value === 'x') throw new TypeError('no x');
    this.output.next(value);
  }

  #side(value: string): void {
    this.output.next(value.toUpperCase());
  }
}

function doubling(side$: Observable<string>): OperatorFunction<string, string> {
  return (source) => new Observable((subscriber) => source.subscribe(new Doubling(subscriber, side$)));
}

describe('a stage', () => {
  test('takes values, and its output completes with its source', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-|');
      const subs = '    ^----!';
      const expected = '-a-b-|';

      expectObservable(e1.pipe(doubling(NEVER))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
    });
  });

  test('passes an error on', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-#');
      const subs = '    ^--!';
      const expected = '-a-#';

      expectObservable(e1.pipe(doubling(NEVER))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
    });
  });

  test('makes what it throws the error of its output, and ends its source', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-x-b-');
      const subs = '    ^--!   ';
      const expected = '-a-#   ';

      expectObservable(e1.pipe(doubling(NEVER))).toBe(expected, undefined, new TypeError('no x'));
      expectSubscriptions(e1.subscriptions).toBe(subs);
    });
  });

  test('ends with its consumer', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-');
      const subs = '    ^-!  ';
      const expected = '-a---';

      expectObservable(e1.pipe(doubling(NEVER)), subs).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
    });
  });
});

describe('a second source', () => {
  test('goes to a method of the stage, and its end means nothing', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('   -a---b-|');
      const side$ = hot('--s-|   ');
      const subs = '     ^------!';
      const sideSubs = ' ^---!   ';
      const expected = ' -aS--b-|';

      expectObservable(e1.pipe(doubling(side$))).toBe(expected, { a: 'a', b: 'b', S: 'S' });
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(side$.subscriptions).toBe(sideSubs);
    });
  });

  test('is listened to until the output ends', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('   -a--');
      const side$ = hot('--s-s');
      const subs = '     ^--! ';
      const expected = ' -aS--';

      expectObservable(e1.pipe(doubling(side$)), subs).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(side$.subscriptions).toBe(subs);
    });
  });

  test('passes its error on to the output, and ends the first', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('   -a--b');
      const side$ = hot('--s#');
      const subs = '     ^--!';
      const expected = ' -aS#';

      expectObservable(e1.pipe(doubling(side$))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(side$.subscriptions).toBe(subs);
    });
  });

  test('can be given up while the first goes on', () => {
    const heard: string[] = [];
    const side$ = new Subject<string>();
    const outputs: Subscriber<never>[] = [];
    new Observable<never>((subscriber) => {
      outputs.push(subscriber);
    }).subscribe();
    const listenings = outputs.map((output) =>
      listen(heard, output, side$, function (value) {
        this.push(value);
      }),
    );
    side$.next('a');
    for (const listening of listenings) listening.unsubscribe();
    side$.next('b');
    expect(heard).toEqual(['a']);
    expect([side$.observed, ...outputs.map(({ closed }) => closed)]).toEqual([false, false]);
  });
});
