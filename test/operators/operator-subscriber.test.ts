import { describe, expect, test } from '@jest/globals';
import { NEVER, Observable, Subject, Subscription, take, type OperatorFunction, type Subscriber } from 'rxjs';
import { LeanSubscriber, OperatorSubscriber, listen } from '../../src/operators/operator-subscriber.js';
import { marbles } from '../support/marbles.js';

class PlainSubscriber extends LeanSubscriber<unknown> {
  constructor(...children: readonly Subscription[]) {
    super();
    for (const child of children) this.add(child);
  }
}

/** A teardown that records its name. */
function child(name: string, ended: string[]): Subscription {
  return new Subscription(() => ended.push(name));
}

describe('a LeanSubscriber', () => {
  test('runs every teardown once when it is unsubscribed', () => {
    const ended: string[] = [];
    const subscriber = new PlainSubscriber(...['first', 'second', 'third'].map((name) => child(name, ended)));
    subscriber.add(() => ended.push('function'));
    expect(ended).toEqual([]);
    subscriber.unsubscribe();
    expect(subscriber.closed).toBe(true);
    expect([...ended].sort()).toEqual(['first', 'function', 'second', 'third']);
    subscriber.unsubscribe();
    expect(ended).toHaveLength(4);
  });

  test('runs a teardown once that was added twice', () => {
    const ended: string[] = [];
    const subscriber = new PlainSubscriber();
    const [first, second] = [child('first', ended), child('second', ended)];
    for (const each of [first, first, second, second, first]) subscriber.add(each);
    subscriber.unsubscribe();
    expect([...ended].sort()).toEqual(['first', 'second']);
  });

  test('keeps a new teardown in place of its first once that has closed', () => {
    const ended: string[] = [];
    const subscriber = new PlainSubscriber();
    for (const name of ['first', 'second', 'third']) {
      const each = child(name, ended);
      subscriber.add(each);
      if (name !== 'third') each.unsubscribe();
    }
    expect(ended).toEqual(['first', 'second']);
    subscriber.unsubscribe();
    expect(ended).toEqual(['first', 'second', 'third']);
  });

  test('keeps the other teardowns when the first has closed', () => {
    const ended: string[] = [];
    const first = child('first', ended);
    const subscriber = new PlainSubscriber(first, child('second', ended));
    first.unsubscribe();
    subscriber.add(child('third', ended));
    subscriber.unsubscribe();
    expect([...ended].sort()).toEqual(['first', 'second', 'third']);
  });

  test.each(['first', 'second', 'third'])('removes its %s teardown without running it', (name) => {
    const ended: string[] = [];
    const children = new Map(['first', 'second', 'third'].map((each) => [each, child(each, ended)]));
    const subscriber = new PlainSubscriber(...children.values());
    subscriber.remove(children.get(name) ?? Subscription.EMPTY);
    subscriber.unsubscribe();
    expect([...ended].sort()).toEqual([...children.keys()].filter((other) => other !== name).sort());
  });

  test.each([0, 1])('unsubscribes once from an object that is no Subscription, with %i teardowns before it', (others) => {
    const ended: string[] = [];
    const subscriber = new PlainSubscriber(...Array.from({ length: others }, (_, nth) => child(String(nth), ended)));
    subscriber.add({ unsubscribe: () => ended.push('object') });
    subscriber.add(child('last', ended));
    expect(ended).toEqual([]);
    subscriber.unsubscribe();
    subscriber.unsubscribe();
    expect([...ended].sort()).toEqual([...Array.from({ length: others }, (_, nth) => String(nth)), 'last', 'object']);
  });

  test('unsubscribes at once from an object that is added after it closed', () => {
    const ended: string[] = [];
    const subscriber = new PlainSubscriber();
    subscriber.unsubscribe();
    subscriber.add({ unsubscribe: () => ended.push('object') });
    expect(ended).toEqual(['object']);
  });

  test('does not call a function that was removed', () => {
    const ended: string[] = [];
    const subscriber = new PlainSubscriber();
    const note = () => {
      ended.push('function');
    };
    subscriber.add(note);
    subscriber.remove(note);
    subscriber.unsubscribe();
    expect(ended).toEqual([]);
  });

  test('runs a teardown at once that is added after it closed', () => {
    const ended: string[] = [];
    const subscriber = new PlainSubscriber();
    subscriber.unsubscribe();
    subscriber.add(child('late', ended));
    subscriber.add(() => ended.push('late function'));
    expect(ended).toEqual(['late', 'late function']);
  });

  test('ignores undefined and closed subscriptions', () => {
    const ended: string[] = [];
    const subscriber = new PlainSubscriber();
    const over = child('over', ended);
    over.unsubscribe();
    subscriber.add(over);
    subscriber.add(undefined);
    subscriber.unsubscribe();
    expect(ended).toEqual(['over']);
  });

  test.each(['unsubscribes', 'completes', 'errors'])('unsubscribes from its source when it %s', (how) => {
    const source$ = new Subject<unknown>();
    const subscriber = new (class extends LeanSubscriber<unknown> {
      protected override _error(): void {
        this.unsubscribe();
      }
    })();
    source$.subscribe(subscriber);
    expect(source$.observed).toBe(true);
    if (how === 'unsubscribes') subscriber.unsubscribe();
    else if (how === 'completes') subscriber.complete();
    else subscriber.error(new Error('x'));
    expect(source$.observed).toBe(false);
  });
});

/** Passes values on, and those of a second source in capitals. */
class Shouting extends OperatorSubscriber<string, string> {
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

function shouting(side$: Observable<string>): OperatorFunction<string, string> {
  return (source) => new Observable((subscriber) => source.subscribe(new Shouting(subscriber, side$)));
}

describe('an OperatorSubscriber', () => {
  test('passes values to take, and completes its output with its source', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-|');
      const subs = '    ^----!';
      const expected = '-a-b-|';

      expectObservable(e1.pipe(shouting(NEVER))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
    });
  });

  test('passes an error of its source on', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-#');
      const subs = '    ^--!';
      const expected = '-a-#';

      expectObservable(e1.pipe(shouting(NEVER))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
    });
  });

  test('turns an exception of take into the error of its output, and unsubscribes from its source', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-x-b-');
      const subs = '    ^--!   ';
      const expected = '-a-#   ';

      expectObservable(e1.pipe(shouting(NEVER))).toBe(expected, undefined, new TypeError('no x'));
      expectSubscriptions(e1.subscriptions).toBe(subs);
    });
  });

  test('takes nothing from a source that goes on after it was unsubscribed', () => {
    const taken: string[] = [];
    const ignoresUnsubscribe$ = new Observable<string>((subscriber) => {
      for (const value of ['a', 'b', 'c']) subscriber.next(value);
    });
    const recording = new Observable<string>((output) =>
      ignoresUnsubscribe$.subscribe(
        new (class extends OperatorSubscriber<string, string> {
          protected override take(value: string): void {
            taken.push(value);
            this.output.next(value);
          }
        })(output),
      ),
    );
    recording.pipe(take(1)).subscribe();
    expect(taken).toEqual(['a']);
  });

  test('unsubscribes from its source with its consumer', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -a-b-');
      const subs = '    ^-!  ';
      const expected = '-a---';

      expectObservable(e1.pipe(shouting(NEVER)), subs).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
    });
  });
});

describe('listen', () => {
  test('passes the values of the second source to a method, and ignores its completion', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('   -a---b-|');
      const side$ = hot('--s-|   ');
      const subs = '     ^------!';
      const sideSubs = ' ^---!   ';
      const expected = ' -aS--b-|';

      expectObservable(e1.pipe(shouting(side$))).toBe(expected, { a: 'a', b: 'b', S: 'S' });
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(side$.subscriptions).toBe(sideSubs);
    });
  });

  test('stays subscribed to the second source until the output ends', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('   -a--');
      const side$ = hot('--s-s');
      const subs = '     ^--! ';
      const expected = ' -aS--';

      expectObservable(e1.pipe(shouting(side$)), subs).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(side$.subscriptions).toBe(subs);
    });
  });

  test('passes an error of the second source on, and unsubscribes from the first', () => {
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const e1 = hot('   -a--b');
      const side$ = hot('--s#');
      const subs = '     ^--!';
      const expected = ' -aS#';

      expectObservable(e1.pipe(shouting(side$))).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(subs);
      expectSubscriptions(side$.subscriptions).toBe(subs);
    });
  });

  test('can be unsubscribed while the first source goes on', () => {
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
