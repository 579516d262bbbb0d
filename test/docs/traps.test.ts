import { describe, expect, test } from '@jest/globals';
import { handler, perMessage, reject, reply, type Effect, type HandledMessage } from 'chat-api';
import { testHandler, testOperator } from 'chat-api/testing';
import {
  Subject,
  catchError,
  delay,
  from,
  ignoreElements,
  map,
  merge,
  mergeMap,
  observeOn,
  of,
  shareReplay,
  tap,
  throttleTime,
  timestamp,
  type Observable,
  type OperatorFunction,
  type Timestamp,
} from 'rxjs';
import Type from 'typebox';
import { failing } from '../support/failing.js';

// Each trap of docs/testing.md, and its remedy.

type Message = HandledMessage<unknown>;

function of$(operator: (message$: Observable<Message>) => Observable<Effect>) {
  return handler('it', Type.Unknown(), operator);
}

const says = { a: { data: 'a' }, b: { data: 'bad', id: 'bad' } };
const fine = reply({ type: 'fine', data: {} });
const effects = { a: fine, b: fine, x: reject('unavailable', 'the handler failed', 'bad') };

test('a promise escapes virtual time; a stream of the test’s does not', () => {
  const asking = (ask: () => PromiseLike<boolean> | Observable<boolean>) =>
    of$(mergeMap(() => from(ask()).pipe(map(() => fine))));
  expect(
    failing(() =>
      testHandler(
        asking(() => Promise.resolve(true)),
        'says -a\neffects -a',
        { says, effects },
      ),
    ),
  ).toContain('a was expected, and nothing came');
  testHandler(({ cold }) => asking(() => cold('ask', '--(y|)', { y: true })), 'says -a\neffects ---a', { says, effects });
});

test('an operator without a scheduler is in real time, which the test says', () => {
  const rows = 'source a\noutput --a';
  expect(
    failing(() => {
      testOperator(() => delay(2), rows);
    }),
  ).toContain("started on a scheduler of RxJS' own");
  testOperator(({ runtime }) => delay(2, runtime.scheduler), rows);
});

test('timestamp() without a scheduler does not tell the test’s time', () => {
  const times = (operator: OperatorFunction<string, Timestamp<string>>) => operator;
  const rows = 'source ---a\noutput ---t';
  expect(
    failing(() => {
      testOperator(() => times(timestamp()), rows, { output: { t: { value: 'a', timestamp: 3 } } });
    }),
  ).toContain('timestamp is 0 instead of 3');
  testOperator(({ runtime }) => times(timestamp(runtime.scheduler)), rows, { output: { t: { value: 'a', timestamp: 3 } } });
});

test('what is said goes before a timer that is due in the same millisecond', () => {
  const throttled = (ms: number) => {
    testOperator(({ runtime }) => throttleTime(10, runtime.scheduler), `source a ${ms - 1}ms b\noutput a ${ms - 1}ms b`);
  };
  expect(
    failing(() => {
      throttled(10);
    }),
  ).toContain('b was expected, and nothing came');
  throttled(11);
});

test('a stream that is made once keeps what it knows from test to test', () => {
  const word$ = new Subject<string>();
  const latest$ = word$.pipe(shareReplay(1));
  const remembering = (latest: Observable<string>) => () => (source$: Observable<string>) =>
    merge(latest, source$.pipe(tap(word$), ignoreElements()));
  const rows = 'source -a\noutput -a';
  testOperator(remembering(latest$), rows);
  expect(
    failing(() => {
      testOperator(remembering(latest$), rows);
    }),
  ).toContain('output, 0 ms: a came, and nothing was expected');
});

describe('next within next', () => {
  /** Says `b` after each `a`, through the Subject that it listens to; what a later subscriber of it hears. */
  const echoed = (between: OperatorFunction<string, string>) => (source$: Observable<string>) => {
    const word$ = new Subject<string>();
    const answer$ = word$.pipe(
      between,
      tap((word) => {
        if (word === 'a') word$.next('b');
      }),
      ignoreElements(),
    );
    const fed$ = source$.pipe(
      tap((word) => {
        word$.next(word);
      }),
      ignoreElements(),
    );
    return merge(answer$, word$, fed$);
  };

  test('reverses the order for those who subscribed later', () => {
    testOperator(() => echoed(map((word) => word)), 'source -a\noutput -(ba)');
  });

  test('does not with observeOn', () => {
    testOperator(({ runtime }) => echoed(observeOn(runtime.scheduler)), 'source -a\noutput -(ab)');
  });
});

describe('an error', () => {
  const careful = ({ data }: Message): Observable<Effect> =>
    of(data).pipe(
      map((value) => {
        if (value === 'bad') throw new Error('a bug');
        return fine;
      }),
    );

  test('that is caught behind message$ ends the handler', () => {
    const over = of$((message$) =>
      message$.pipe(
        mergeMap(careful),
        catchError(() => of(fine)),
      ),
    );
    testHandler(
      over,
      `
        says     -a-b---a
        effects  -a-(b|)-
      `,
      { says, effects },
    );
  });

  test('that is caught per message does not', () => {
    testHandler(
      of$((message$) => message$.pipe(perMessage(careful))),
      `
        says     -a-b---a
        effects  -a-x---a
      `,
      { says, effects },
    );
  });
});

test('state outside of the stream is shared by all connections; state in it is not', () => {
  let count = 0;
  const counting = of$((message$) => message$.pipe(map(() => reply({ type: 'count', data: (count += 1) }))));
  const own = of$((message$) => message$.pipe(map((_, nth) => reply({ type: 'count', data: nth + 1 }))));
  const rows = 'says -a-a\neffects -1-2';
  const legend = { says, effects: { 1: reply({ type: 'count', data: 1 }), 2: reply({ type: 'count', data: 2 }) } };
  testHandler(counting, rows, legend);
  expect(failing(() => testHandler(counting, rows, legend))).toContain('data is 3 instead of 1');
  testHandler(own, rows, legend);
  testHandler(own, rows, legend);
});
