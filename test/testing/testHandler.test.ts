import { describe, expect, test } from '@jest/globals';
import { interval, map, mergeMap, switchMap, take, tap, throttleTime, type Observable } from 'rxjs';
import Type from 'typebox';
import { close, transform, join, leave, publish, reply, type Effect } from '../../src/handlers/effect.js';
import { handler } from '../../src/handlers/handler.js';
import { reject } from '../../src/handlers/rejection.js';
import { perMessage } from '../../src/handlers/per-message.js';
import { testHandler } from '../../src/testing/testHandler.js';
import { failing, lines } from '../support/failing.js';

const typing = handler('typing', Type.Object({ on: Type.Boolean() }), (message$, { scheduler }) =>
  message$.pipe(
    throttleTime(3000, scheduler),
    map(({ data }) => publish({ type: 'typing', data })),
  ),
);

/** Wants each time what it is told to. */
function wanting(...effects: readonly Effect[]) {
  return handler('want', Type.Unknown(), (message$) => message$.pipe(mergeMap(() => effects)));
}

/** Fails on the message `{ "data": "bad" }`. */
const fragile = handler('fragile', Type.Unknown(), (message$) =>
  message$.pipe(
    map(({ data }) => {
      if (data === 'bad') throw new TypeError('a bug');
      return reply({ type: 'fine', data });
    }),
  ),
);

describe('a handler that does what the rows say passes', () => {
  test('in virtual time', () => {
    testHandler(
      typing,
      `
        says     -a-a-a- 3s a--!
        effects  -t----- 3s t---
        subs     -^----- 3s ---!
      `,
      { says: { a: { data: { on: true } } }, effects: { t: publish({ type: 'typing', data: { on: true } }) } },
    );
  });

  test('with every kind of effect; nothing is handled after a close', () => {
    const effects = {
      a: reply({ type: 'fine', data: 1, id: 'one' }),
      b: publish({ type: 'news', room: 'tea', data: {} }, { as: 'kitchen', outside: true }),
      c: join(['tea', 'coffee']),
      d: leave(['tea']),
      e: transform((envelope$) => envelope$),
      f: transform(undefined),
      g: reject('forbidden', 'not now'),
      h: close(4000, 'enough'),
    };
    testHandler(
      wanting(...Object.values(effects)),
      `
        says     -a---------a
        effects  -(abcdefgh)-
        subs     -(^!)-------
      `,
      { says: { a: {} }, effects },
    );
  });

  test('with a `ref` where it is written: the connection fills it in', () => {
    const rows = `
      says     -a-
      effects  -j-
    `;
    testHandler(wanting(join(['tea'])), rows, { says: { a: { id: 'one' } }, effects: { j: join(['tea']) } });
    testHandler(wanting(join(['tea'])), rows, { says: { a: { id: 'one' } }, effects: { j: join(['tea'], { ref: 'one' }) } });
    const text = failing(() => {
      testHandler(wanting(join(['tea'])), rows, { says: { a: { id: 'one' } }, effects: { j: join(['tea'], { ref: 'two' }) } });
    });
    expect(text).toContain("ref is 'one' instead of 'two'");
  });

  test('with streams of the test’s own: what it asks of others, and for how long', () => {
    const moderated = (isFine$: (content: string) => Observable<boolean>) =>
      handler('say', Type.String(), (message$) =>
        message$.pipe(
          perMessage(({ data }) =>
            isFine$(data).pipe(map((isFine) => (isFine ? publish({ type: 'say', data }) : reject('forbidden', 'not so')))),
          ),
        ),
      );
    testHandler(
      ({ cold }) => moderated((content) => cold('check', '---(v|)', { v: content !== 'bad' })),
      `
        says     -a-b-------c--!
        check    -^--!------^--!
        check    ----^--!-------
        effects  ----a--b-------
      `,
      {
        says: { a: { data: 'good', id: 'one' }, b: { data: 'bad', id: 'two' }, c: { data: 'too late' } },
        effects: { a: publish({ type: 'say', data: 'good' }), b: reject('forbidden', 'not so', 'two') },
      },
    );
  });

  test('in the rooms that the test says', () => {
    const where = handler('where', Type.Unknown(), (message$, { rooms$ }) =>
      message$.pipe(
        switchMap(() => rooms$),
        map((rooms) => reply({ type: 'here', data: rooms })),
      ),
    );
    testHandler(
      where,
      `
        rooms    t---b-
        says     --a--!
        effects  --t-b-
      `,
      {
        says: { a: {} },
        rooms: { t: ['tea'], b: ['tea', 'coffee'] },
        effects: { t: reply({ type: 'here', data: ['tea'] }), b: reply({ type: 'here', data: ['tea', 'coffee'] }) },
      },
    );
    testHandler(where, 'says a!\neffects t', {
      says: { a: {} },
      rooms: ['tea'],
      effects: { t: reply({ type: 'here', data: ['tea'] }) },
    });
  });

  test('with its identity, fake ids, a clock that begins with the epoch, and loaded dice', () => {
    const who = handler('who', Type.Unknown(), (message$, { identity, newId, scheduler, random }) =>
      message$.pipe(map(() => reply({ type: 'i', data: [identity, newId(), scheduler.now(), random()] }))),
    );
    testHandler(
      who,
      `
        says     -a-a-
        effects  -x-y-
      `,
      {
        says: { a: {} },
        effects: { x: reply({ type: 'i', data: ['me', 'id-1', 1, 0.5] }), y: reply({ type: 'i', data: ['me', 'id-2', 3, 0.5] }) },
      },
    );
    testHandler(who, 'says a\neffects x', {
      says: { a: {} },
      identity: 'ada',
      chance: 0.25,
      effects: { x: reply({ type: 'i', data: ['ada', 'id-1', 0, 0.25] }) },
    });
  });

  test('that completes: what is said afterwards is ignored', () => {
    const once = handler('once', Type.Unknown(), (message$) =>
      message$.pipe(
        take(1),
        map(() => reply({ type: 'done', data: {} })),
      ),
    );
    testHandler(
      once,
      `
        says     -a---a-
        effects  -(d|)--
        subs     -(^!)--
      `,
      { says: { a: {} }, effects: { d: reply({ type: 'done', data: {} }) } },
    );
  });

  test('that fails: the sender is told, and the next message makes the handler anew', () => {
    const { logged } = testHandler(
      fragile,
      `
        says     -a--b--a--!
        effects  -a--b--a---
        subs     -^--!--^--!
      `,
      {
        says: { a: { data: 1 }, b: { id: 'two', data: 'bad' } },
        effects: { a: reply({ type: 'fine', data: 1 }), b: reject('unavailable', 'the handler of fragile failed', 'two') },
      },
    );
    expect(logged).toEqual([
      {
        level: 'error',
        event: 'handler failed',
        details: { err: new TypeError('a bug'), type: 'fragile', connection: 'connection' },
      },
    ]);
  });

  test('and reports what was logged and counted', () => {
    const counting = handler(
      'vote',
      Type.Unknown(),
      (message$, { count, log }) =>
        message$.pipe(
          tap(() => {
            count('cast');
            log.info({ n: 1 }, 'voted');
          }),
          map(() => reply({ type: 'thanks', data: {} })),
        ),
      { events: ['cast'] },
    );
    const report = testHandler(counting, 'says a-a\neffects x-x', {
      says: { a: {} },
      effects: { x: reply({ type: 'thanks', data: {} }) },
    });
    expect(report.counted).toEqual({ 'vote cast': 2 });
    const line = { level: 'info', event: 'voted', details: { handler: 'vote', connection: 'connection', n: 1 } };
    expect(report.logged).toEqual([line, line]);
  });

  test('behind the checks of the service', () => {
    testHandler(
      typing,
      `
        says     -abcde-
        effects  -abcde-
        subs     -------
      `,
      {
        says: {
          a: { id: 'one', data: { on: 1 } },
          b: 'no JSON',
          c: { type: 'typo' },
          d: { type: 'error' },
          e: '{"type":"typing","room":1}',
        },
        effects: {
          a: reject('invalid_message', 'data/on must be boolean', 'one'),
          b: reject('invalid_json', 'the frame is not JSON'),
          c: reject('unknown_type', 'no such message type'),
          d: reject('forbidden_type', 'only the server sends this type'),
          e: reject('invalid_message', 'room is not a string'),
        },
      },
    );
  });

  test('within the limits of the service', () => {
    const rests = reject('unavailable', 'fragile failed too often and rests');
    testHandler(
      fragile,
      `
        says     -bbbbba-
        effects  -xxxxxr-
      `,
      {
        says: { b: { data: 'bad' }, a: {} },
        effects: { x: reject('unavailable', 'the handler of fragile failed'), r: rests },
      },
    );
  });
});

describe('the failure of a handler’s test', () => {
  test('shows rows, effects as one writes them, and what the handler failed with', () => {
    const text = failing(() => {
      testHandler(
        fragile,
        `
          says     -a--b---!
          effects  -a--b----
          subs     -^------!
        `,
        {
          says: { a: { data: 1 }, b: { id: 'two', data: 'bad' } },
          effects: { a: reply({ type: 'fine', data: 2 }), b: reply({ type: 'fine', data: 'bad' }) },
        },
      );
    });
    expect(text).toBe(
      lines(`
        the handler of fragile did something else

          says     -a--b---!
          effects  -1--2----  came
                   -a--b----  expected
                    ↑ 1 ms
          subs     -^--!----  came
                   -^------!  expected
                       ↑ 4 ms

        effects, 1 ms: a was expected, and 1 came
          data is 1 instead of 2
        effects, 4 ms: b was expected, and 2 came
          kind is 'rejection' instead of 'reply'
          type is missing, and should be 'fine'
        subs, 4 ms: ! came, and nothing was expected
        subs, 8 ms: ! was expected, and nothing came

        says:
          a  { data: 1 }
          b  { id: 'two', data: 'bad' }
        effects:
          a  reply({ type: 'fine', data: 2 })
          b  reply({ type: 'fine', data: 'bad' })
          1  reply({ type: 'fine', data: 1 })   (not in the legend)
          2  reject('unavailable', 'the handler of fragile failed', 'two')   (not in the legend)

        logged: handler failed: TypeError: a bug
      `),
    );
  });

  test.each<[shown: string, effect: Effect]>([
    ["reply({ type: 'fine', data: 1, id: 'one' })", reply({ type: 'fine', data: 1, id: 'one' })],
    ["publish({ type: 'news', data: {} })", publish({ type: 'news', data: {} })],
    ["publish({ type: 'news' }, { outside: true })", publish({ type: 'news' }, { outside: true })],
    ["join(['tea'])", join(['tea'])],
    ["leave(['tea'], { ref: 'one' })", leave(['tea'], { ref: 'one' })],
    ['transform(someOperator)', transform((envelope$) => envelope$)],
    ['transform(undefined)', transform(undefined)],
    ["reject('forbidden', 'no')", reject('forbidden', 'no')],
    ["close(4000, 'enough')", close(4000, 'enough')],
  ])('shows %s as one writes it', (shown, effect) => {
    const text = failing(() => testHandler(wanting(effect), 'says a\neffects -', { says: { a: {} } }));
    expect(text).toContain(`effects:\n  1  ${shown}   (not in the legend)`);
  });

  test('tells an effect from one of the same kind', () => {
    const differing: readonly [Effect, Effect, string][] = [
      [join(['tea']), join(['tea', 'coffee']), "rooms[1] is 'coffee', and should not be there"],
      [publish({ type: 'a' }), publish({ type: 'a' }, { outside: true }), 'outside is true, and should not be there'],
      [reply({ type: 'a', data: 1 }), reply({ type: 'a', data: 1, id: 'x' }), "id is 'x', and should not be there"],
      [transform(undefined), transform((envelope$) => envelope$), 'operator is someOperator, and should not be there'],
    ];
    for (const [expected, came, told] of differing) {
      const text = failing(() => testHandler(wanting(came), 'says a\neffects x', { says: { a: {} }, effects: { x: expected } }));
      expect(text).toContain(told);
    }
  });
});

describe('what a handler leaves behind is told', () => {
  const careless = handler('careless', Type.Unknown(), (message$, { scheduler }) =>
    message$.pipe(
      map(() => {
        interval(1000, scheduler).pipe(take(3)).subscribe();
        return reply({ type: 'fine', data: {} });
      }),
    ),
  );
  const legend = { says: { a: {} }, effects: { a: reply({ type: 'fine', data: {} }) } };

  test('where its connection ends', () => {
    expect(failing(() => testHandler(careless, 'says a!\neffects a', legend))).toContain(
      'after its end a timer is still running',
    );
  });

  test('a timer in real time', () => {
    const real = handler('real', Type.Unknown(), (message$) =>
      message$.pipe(
        throttleTime(3000),
        map(() => reply({ type: 'fine', data: {} })),
      ),
    );
    expect(failing(() => testHandler(real, 'says a-a!\neffects a', legend))).toContain(
      "a timer of 3000 ms was started on a scheduler of RxJS' own",
    );
  });

  test('and one that never falls quiet', () => {
    const restless = handler('restless', Type.Unknown(), (message$, { scheduler }) =>
      message$.pipe(
        switchMap(() => interval(1000, scheduler)),
        map(() => reply({ type: 'fine', data: {} })),
      ),
    );
    expect(failing(() => testHandler(restless, 'says a\neffects -', legend))).toContain('end it with "!"');
    testHandler(restless, 'says a 2s !\neffects - 999ms a 999ms a', legend);
  });
});
