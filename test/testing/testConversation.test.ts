import { describe, expect, test } from '@jest/globals';
import { filter, interval, map, mergeMap, switchMap, take } from 'rxjs';
import Type from 'typebox';
import { close, join, leave, reply } from '../../src/handlers/effect.js';
import { handler } from '../../src/handlers/handler.js';
import { builtInHandlers } from '../../src/handlers/built-in/index.js';
import { closed, error, gap, joined, left, offline, online, shutdown, welcome, type Heard } from '../../src/testing/heard.js';
import { testConversation } from '../../src/testing/testConversation.js';
import { middleware } from '../../src/handlers/middleware.js';
import { failing, lines } from '../support/failing.js';

const say = (content: string, more: object = {}) => ({ type: 'chat', data: { content }, ...more });
const from = (name: string, content: string): Heard => ({ type: 'chat', from: name, data: { content } });

const tea = { rooms: ['tea'] };
const says = { a: say('hi'), b: say('ho') };
const hears = { w: welcome, a: from('alice', 'hi'), b: from('bob', 'ho') };

describe('a conversation that goes as the rows say passes', () => {
  test('in a room and out of it', () => {
    testConversation(
      `
        alice        -a------
        alice hears  wa-b----
        bob          ---b----
        bob hears    wa-b----
        carol hears  w-------
      `,
      { connections: { alice: tea, bob: tea, carol: { rooms: ['coffee'] } }, says, hears },
    );
  });

  test('with those who come later, go, and come back', () => {
    testConversation(
      `
        alice        -a---a---a---a
        alice hears  wa---a---a---a
        bob          ---^---!---^--
        bob hears    ---w-a-----w-a
      `,
      { connections: { alice: tea, bob: tea }, says, hears },
    );
  });

  test('with presence, where the settings say so', () => {
    testConversation(
      `
        alice        ^---------
        alice hears  (wA)-B---b
        bob          -----^---!
        bob hears    -----(wB)-
      `,
      {
        connections: { alice: tea, bob: { ...tea, identity: 'robert' } },
        hears: { w: welcome, A: online('alice'), B: online('bob', 'robert'), b: offline('bob', 'robert') },
        config: { presenceMaxMembers: 10 },
      },
    );
  });

  test('with message types that join and leave', () => {
    const room = Type.Object({ room: Type.String() });
    const enter = handler('enter', room, (message$) => message$.pipe(map(({ data }) => join([data.room]))));
    const exit = handler('exit', room, (message$) => message$.pipe(map(({ data }) => leave([data.room]))));
    testConversation(
      `
        alice         -j---b---l---e
        alice hears   wJ---A---L---x
        bob           ---------b----
        bob hears     w----A---B----
        one in tea    -^-------- 999ms !
        two in tea    ^
        two in milk   ^
        one in milk   -
      `,
      {
        pods: ['one', 'two'],
        connections: { alice: {}, bob: { rooms: ['milk', 'tea'], pod: 'two' } },
        says: {
          j: { type: 'enter', data: { room: 'tea' } },
          l: { type: 'exit', data: { room: 'tea' } },
          e: { type: 'exit', data: { room: 'tea' }, id: 'again' },
          b: say('hi', { room: 'tea' }),
        },
        hears: {
          w: welcome,
          J: joined('tea'),
          A: from('alice', 'hi'),
          B: from('bob', 'hi'),
          L: left('tea'),
          x: error('not_in_room', 'again'),
        },
        handlers: [...builtInHandlers, enter, exit],
      },
    );
  });

  test('on pods of which one loses its way to the other', () => {
    testConversation(
      `
        two          -----!-----^--
        alice        -a-------a---a
        alice hears  wa-------a---a
        bob          -------b------
        bob hears    wa-----u---g-a
      `,
      {
        pods: ['one', 'two'],
        connections: { alice: tea, bob: { ...tea, pod: 'two' } },
        says: { ...says, b: say('?', { id: 'lost' }) },
        hears: { ...hears, u: error('unavailable', 'lost'), g: gap('subscription') },
      },
    );
  });

  test('on a pod that drains', () => {
    testConversation(
      `
        one          ----|-
        alice        -a----
        alice hears  wa--s(x)
        bob hears    wa--------
      `,
      {
        pods: ['one', 'two'],
        connections: { alice: tea, bob: { ...tea, pod: 'two' } },
        says,
        hears: { ...hears, s: shutdown, x: closed(1001) },
      },
    );
  });

  test('with a client that does not read', () => {
    testConversation(
      `
        alice        -aaa--aaaaa
        alice hears  waaa--aaaaa
        bob reads    --!--^!----
        bob hears    wa---(aa)x
      `,
      {
        connections: { alice: tea, bob: tea },
        says,
        hears: { ...hears, x: closed(4000) },
        config: { sendBufferMessages: 3 },
      },
    );
  });

  test('with what goes around all handlers, and what stands between a room and a connection', () => {
    const loud = middleware('loud', (message$, handle) =>
      message$.pipe(
        map((message) => ({ ...message, data: { content: 'HI' } })),
        handle,
      ),
    );
    testConversation(
      `
        alice        -a
        alice hears  wa
        bob          ---b
        bob hears    wa-b
      `,
      {
        connections: { alice: tea, bob: tea },
        says,
        hears: { w: welcome, a: from('alice', 'HI'), b: from('bob', 'HI') },
        middleware: [loud],
        transform: ({ identity }) => (identity === 'alice' ? filter(({ from }) => from !== 'bob') : undefined),
      },
    );
  });

  test('with tokens', () => {
    const enter = handler('enter', Type.String(), (message$) => message$.pipe(map(({ data }) => join([data]))));
    testConversation(
      `
        alice        -t-m-g- 2s -
        alice hears  wT-M-G- 1993ms x
      `,
      {
        connections: { alice: { identity: 'ada', claims: { rooms: ['tea'], exp: 2 } } },
        says: { t: { type: 'enter', data: 'tea' }, m: { type: 'enter', data: 'milk' }, g: say('to all', { room: '' }) },
        hears: { w: welcome, T: joined('tea'), M: error('forbidden'), G: error('forbidden'), x: closed(4002) },
        handlers: [...builtInHandlers, enter],
      },
    );
  });

  test('with clients that answer pings', () => {
    testConversation(
      `
        alice        - 5m a
        alice hears  w 5m a
      `,
      { connections: { alice: tea }, says, hears },
    );
  });

  test('made with streams of the test’s own', () => {
    testConversation(
      `
        alice        -n
        news         -^-!
        alice hears  w--n
      `,
      ({ cold }) => ({
        connections: { alice: {} },
        says: { n: { type: 'news' } },
        hears: { w: welcome, n: { type: 'news', data: 'tea is ready' } },
        handlers: [
          handler('news', Type.Unknown(), (message$) =>
            message$.pipe(
              switchMap(() => cold('news', '--(n|)', { n: 'tea is ready' })),
              map((data) => reply({ type: 'news', data })),
            ),
          ),
        ],
      }),
    );
  });
});

describe('the failure of a conversation', () => {
  test('shows what each connection says and hears, and the values', () => {
    const text = failing(() => {
      testConversation(
        `
          alice        -a------
          alice hears  wa-b----
          bob          ---c----
          bob hears    wa-b----
        `,
        {
          connections: { alice: tea, bob: tea },
          says: { ...says, c: say('hm', { room: 'milk', id: 'lost' }) },
          hears,
        },
      );
    });
    expect(text).toBe(
      lines(`
        they heard something else

          alice        -a--
          alice hears  wa--  came
                       wa-b  expected
                          ↑ 3 ms
          bob          ---c
          bob hears    wa-1  came
                       wa-b  expected
                          ↑ 3 ms

        alice hears, 3 ms: b was expected, and nothing came
        bob hears, 3 ms: b was expected, and 1 came
          type is 'error' instead of 'chat'

        alice, bob:
          a  { type: 'chat', data: { content: 'hi' } }
          c  { type: 'chat', data: { content: 'hm' }, room: 'milk', id: 'lost' }
        alice hears, bob hears:
          w  { type: 'system', from: 'server', data: { event: 'welcome', … }, … }
          a  { type: 'chat', from: 'alice', data: { content: 'hi' }, … }
          b  { type: 'chat', from: 'bob', data: { content: 'ho' }, … }
          1  { type: 'error', from: 'server', data: { code: 'not_in_room', message: 'the connection is not in that room', ref: 'lost' } }   (not in the legend)
      `),
    );
  });

  test('tells one message of the server from another', () => {
    const differing: readonly [Heard, string][] = [
      [joined('tea'), "data.event is 'welcome' instead of 'joined'"],
      [left('tea'), "data.room is missing, and should be 'tea'"],
      [gap('handler'), "data.event is 'welcome' instead of 'gap'"],
      [shutdown, "data.event is 'welcome' instead of 'shutdown'"],
      [online('alice'), "type is 'system' instead of 'presence'"],
      [error('forbidden'), "type is 'system' instead of 'error'"],
      [closed(4000), 'closed is missing, and should be 4000'],
      [{ type: 'system', room: 'tea' }, "room is missing, and should be 'tea'"],
      [{ type: 'system', data: {} }, "data.event is 'welcome', and should not be there"],
    ];
    for (const [expected, told] of differing) {
      const text = failing(() => testConversation('alice hears x', { connections: { alice: tea }, hears: { x: expected } }));
      expect(text).toContain(told);
    }
  });

  test('tells when a room is subscribed to', () => {
    const text = failing(() =>
      testConversation('alice --!\nalice hears w\npod in tea ^-!', { connections: { alice: tea }, hears }),
    );
    expect(text).toContain('pod in tea, 1.002 s: ! came, and nothing was expected');
  });

  test('says what a handler failed with', () => {
    const broken = handler('broken', Type.Unknown(), (message$) =>
      message$.pipe(
        map(() => {
          throw new TypeError('a bug');
        }),
      ),
    );
    const text = failing(() =>
      testConversation('alice b\nalice hears w', {
        connections: { alice: {} },
        says: { b: { type: 'broken' } },
        hears,
        handlers: [broken],
      }),
    );
    expect(text).toContain('logged: handler failed: TypeError: a bug');
  });

  test('says what was left behind when everybody had left', () => {
    const forgetful = handler('forget', Type.Unknown(), (message$, { scheduler }) =>
      message$.pipe(
        mergeMap(() => {
          interval(500, scheduler).pipe(take(10)).subscribe();
          return [];
        }),
      ),
    );
    const conversation = { connections: { alice: {} }, says: { f: { type: 'forget' } }, hears, handlers: [forgetful] };
    testConversation('alice f\nalice hears w', conversation);
    const endless = handler('forget', Type.Unknown(), (message$, { scheduler }) =>
      message$.pipe(
        mergeMap(() => {
          interval(500, scheduler).subscribe();
          return [];
        }),
      ),
    );
    const text = failing(() => testConversation('alice f\nalice hears w', { ...conversation, handlers: [endless] }));
    expect(text).toContain('it goes on and on');
  });
});

test('whom the server has closed may go on talking; nobody hears it', () => {
  testConversation(
    `
      alice        -x-a
      alice hears  wc--
      bob hears    w---
    `,
    {
      connections: { alice: tea, bob: tea },
      says: { ...says, x: { type: 'exit' } },
      hears: { ...hears, c: closed(4000) },
      handlers: [...builtInHandlers, handler('exit', Type.Unknown(), (message$) => message$.pipe(map(() => close(4000, 'bye'))))],
    },
  );
});

describe('a conversation that cannot be', () => {
  test.each<[what: string, diagram: string, told: string]>([
    ['where nobody listens', 'alice a', 'the diagram expects nothing: it has no row "hears"'],
    ['with somebody unknown', 'alice hears w\nmallory a', 'there is nothing for row "mallory"'],
    ['where somebody talks who is not there yet', 'alice a--^\nalice hears ---w', 'alice says something, but is not connected'],
    ['where somebody talks who has left', 'alice --!a\nalice hears w', 'alice says something, but is not connected'],
    ['where somebody comes twice', 'alice ^-^\nalice hears w', 'alice is connected already'],
    ['where somebody comes to a pod that goes', 'pod -|\nalice ---^\nalice hears -', 'alice cannot connect: the pod goes away'],
  ])('%s is told so', (_, diagram, told) => {
    expect(failing(() => testConversation(diagram, { connections: { alice: tea }, says, hears }))).toContain(told);
  });

  test('where somebody may not connect, or connects to a pod that there is not, is told so', () => {
    const play = (alice: object) => failing(() => testConversation('alice hears w', { connections: { alice }, hears }));
    expect(play({ rooms: ['tea'], claims: { rooms: ['milk'] } })).toBe('alice cannot connect: forbidden');
    expect(play({ pod: 'two' })).toBe('alice wants to connect to two; pods: pod');
  });
});
