import { describe, expect, test } from '@jest/globals';
import { filter, map, mergeMap, of, type Observable } from 'rxjs';
import { publish, reply, type Effect } from '../../src/handlers/effect.js';
import { chat } from '../../src/handlers/built-in/chat.js';
import { reject } from '../../src/handlers/rejection.js';
import type { ClientMessage } from '../../src/protocol/protocol.js';
import { testMiddleware } from '../../src/testing/testMiddleware.js';
import { middleware, type Handle } from '../../src/handlers/middleware.js';
import { failing, lines } from '../support/failing.js';

/** Takes one message in so many milliseconds. */
function paced(ms: number) {
  return middleware('paced', (message$, handle, { scheduler }) => {
    let lastMs = -Infinity;
    const early = (message: ClientMessage): Observable<Effect> => of(reject('forbidden', 'not so fast', message.id));
    return message$.pipe(
      mergeMap((message) => {
        if (scheduler.now() - lastMs < ms) return early(message);
        lastMs = scheduler.now();
        return of(message).pipe(handle);
      }),
    );
  });
}

const said = { a: { id: 'one', data: { content: 'hi' } }, p: { type: 'ping' } };
const done = {
  a: publish({ type: 'chat', id: 'one', data: { content: 'hi' } }),
  p: reply({ type: 'pong', data: {} }),
  x: reject('forbidden', 'not so fast'),
};

describe('a wrap that does what the rows say passes', () => {
  test('around the built-in handlers', () => {
    testMiddleware(
      paced(3),
      `
        says     -ap-a--p-!
        effects  -ax-a--p--
        subs     -^-------!
      `,
      { says: said, effects: done },
    );
  });

  test('around others', () => {
    const silent = middleware('silent', (message$, handle) =>
      message$.pipe(
        handle,
        filter(({ kind }) => kind !== 'publish'),
      ),
    );
    testMiddleware(silent, 'says a\neffects -', { says: { a: said.a }, handlers: [chat] });
    testMiddleware(silent, 'says p\neffects x', {
      says: { p: said.p },
      handlers: [chat],
      effects: { x: reject('unknown_type', 'no such message type') },
    });
  });

  test('made with streams of the test’s own', () => {
    const open = (isOpen$: Observable<boolean>) =>
      middleware('open', (message$, handle: Handle) =>
        isOpen$.pipe(
          mergeMap((isOpen) => (isOpen ? message$.pipe(handle) : message$.pipe(map(() => reject('forbidden', 'closed'))))),
        ),
      );
    testMiddleware(
      ({ hot }) => open(hot('isOpen', { y: true })),
      `
        says     a-a-
        isOpen   -y--
        effects  --a-
      `,
      { says: said, effects: done },
    );
  });

  test('that fails: the sender is told', () => {
    const broken = middleware('broken', (message$, handle) =>
      message$.pipe(
        map((message) => {
          if (message.type === 'ping') throw new TypeError('a bug');
          return message;
        }),
        handle,
      ),
    );
    testMiddleware(
      broken,
      `
        says     a--p--a-!
        effects  a--x--a--
        subs     ^--!--^-!
      `,
      { says: said, effects: { ...done, x: reject('unavailable', 'the handler of broken failed') } },
    );
  });
});

test('the failure of a wrap’s test is that of its rows', () => {
  const text = failing(() => {
    testMiddleware(
      paced(3),
      `
        says     -ap-a
        effects  -ap-a
      `,
      { says: said, effects: done },
    );
  });
  expect(text).toBe(
    lines(`
      paced did something else

        says     -ap-a
        effects  -ax-a  came
                 -ap-a  expected
                   ↑ 2 ms

      effects, 2 ms: p was expected, and x came
        kind is 'rejection' instead of 'reply'
        type is missing, and should be 'pong'

      says:
        a  { id: 'one', data: { content: 'hi' } }
        p  { type: 'ping' }
      effects:
        a  publish({ type: 'chat', id: 'one', data: { content: 'hi' } })
        p  reply({ type: 'pong', data: {} })
        x  reject('forbidden', 'not so fast')
    `),
  );
});
