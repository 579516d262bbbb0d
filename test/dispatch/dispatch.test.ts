import { describe, expect, test } from '@jest/globals';
import { EMPTY, Subject, delay, filter, finalize, ignoreElements, map, merge, mergeMap, take, tap, throwError } from 'rxjs';
import Type from 'typebox';
import { join, leave, publish, reply, type Effect } from '../../src/handlers/effect.js';
import { handler, type Handler } from '../../src/handlers/handler.js';
import { silentLogger, type Logger } from '../../src/runtime/log.js';
import { reject } from '../../src/handlers/rejection.js';
import { noMetrics } from '../../src/runtime/metrics.js';
import type { Inbound } from '../../src/connection/transport.js';
import { ask, text } from '../support/ask.js';
import { ada, errorLog, faulty, x } from '../support/faulty.js';
import { marbles } from '../support/marbles.js';

const SAID: Record<string, Inbound> = {
  f: text({ type: 'faulty', data: 'fail', id: 'f' }),
  s: text({ type: 'faulty', data: 'fine', id: 's' }),
  x: text({ type: 'x', id: 'x' }),
  p: text({ type: 'ping', id: 'p' }),
  n: text('nonsense'),
};

const HEARD = {
  w: 'welcome',
  e: 'error unavailable f',
  X: 'error unavailable x',
  u: 'error unavailable',
  '1': 'count 1',
  '2': 'count 2',
  p: 'pong',
  n: 'error invalid_json',
};

describe('a handler that fails', () => {
  test('is made anew by its next message, without what it knew', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -ssfsps-', SAID);
      const unsub = '   --------!';
      const expected = 'w12e1p2-';

      expectObservable(ask(e1, ada(scheduler, [faulty()])), unsub).toBe(expected, HEARD);
    });
  });

  test('five times in a row rests for 10 s, while its messages get an error; once more, and it rests again', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -fffffff 9998ms ff-', SAID);
      const unsub = '   -------- 9998ms ---!';
      const expected = 'weeeeeee 9998ms ee-';

      const made: number[] = [];
      const handlers = [faulty((nowMs) => made.push(nowMs))];
      expectObservable(ask(e1, ada(scheduler, handlers)), unsub).toBe(expected, HEARD);
      flush();
      expect(made).toEqual([1, 2, 3, 4, 5, 10_006]);
    });
  });

  test('has its rest behind it as soon as it does something again', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -fffff 9999ms sffff-', SAID);
      const unsub = '   ------ 9999ms ------!';
      const expected = 'weeeee 9999ms 1eeee-';

      const made: number[] = [];
      const handlers = [faulty((nowMs) => made.push(nowMs))];
      expectObservable(ask(e1, ada(scheduler, handlers)), unsub).toBe(expected, HEARD);
      flush();
      expect(made).toEqual([1, 2, 3, 4, 5, 10_005, 10_007, 10_008, 10_009]);
    });
  });

  test('in a row means within a minute', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -ffff 60s ff-', SAID);
      const unsub = '   ----- 60s ---!';
      const expected = 'weeee 60s ee-';

      const made: number[] = [];
      const handlers = [faulty((nowMs) => made.push(nowMs))];
      expectObservable(ask(e1, ada(scheduler, handlers)).pipe(filter((row) => row !== 'ping')), unsub).toBe(expected, HEARD);
      flush();
      expect(made).toEqual([1, 2, 3, 4, 60_005, 60_006]);
    });
  });

  test('leaves nothing behind when its connection ends while it rests', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -ffffff-', SAID);
      const unsub = '   --------!';
      const expected = 'weeeeee-';

      const context = ada(scheduler, [faulty()]);
      expectObservable(ask(e1, context), unsub).toBe(expected, HEARD);
      flush();
      expect(scheduler.actions).toEqual([]);
    });
  });

  test('is logged at most once in 10 s, with how often the log was spared, and counted each time', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -fsfsf 10s f-', SAID);
      const unsub = '   ------ 10s --!';
      const expected = 'we1e1e 10s e-';

      const { lines, log } = errorLog();
      const failed: string[] = [];
      const metrics = { ...noMetrics, handlerFailed: (type: string) => failed.push(type) };
      expectObservable(ask(e1, ada(scheduler, [faulty()], { log, metrics })), unsub).toBe(expected, HEARD);
      flush();
      const line = { err: 'Error: a bug', type: 'faulty', connection: 'ada' };
      expect(lines).toEqual([line, { ...line, unlogged: 2 }]);
      expect(failed).toEqual(['faulty', 'faulty', 'faulty', 'faulty']);
    });
  });

  test.each<{ when: string; said: string; expected: string; failures: string[] }>([
    { when: 'when the connection ends', said: '-sp-', expected: 'w1p-', failures: ['in teardown'] },
    { when: 'when it fails', said: '-fs-', expected: 'we1-', failures: ['a bug', 'in teardown', 'in teardown'] },
  ])('in its teardown $when is reported, and keeps nothing else from its end', ({ said, expected, failures }) => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const unsub = '----!';

      const reported: string[] = [];
      const { operate, ...rest } = faulty();
      const spoiled: Handler['operate'] = (message$, context) =>
        operate(message$, context).pipe(
          finalize(() => {
            throw new Error('in teardown');
          }),
        );
      const context = ada(scheduler, [{ ...rest, operate: spoiled }]);
      context.pod.failures.report = (_, error) => reported.push(String(error));
      expectObservable(ask(hot(said, SAID), context), unsub).toBe(expected, HEARD);
      flush();
      expect(context.pod.hub.memberCount('tea')).toBe(0);
      expect(reported).toEqual(failures.map((failure) => expect.stringContaining(failure)));
    });
  });

  test('later than the message, without anything to say which one it was', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -x---p-', SAID);
      const unsub = '   -------!';
      const expected = 'w--u-p-';

      const late = x((message$, context) =>
        message$.pipe(
          delay(2, context.scheduler),
          mergeMap(() => throwError(() => new Error('late'))),
        ),
      );
      expectObservable(ask(e1, ada(scheduler, [late])), unsub).toBe(expected, HEARD);
    });
  });
});

describe('a handler that completes', () => {
  test.each([
    { when: 'at once', made: x(() => EMPTY), expected: 'w-p-p-' },
    {
      when: 'after its first message',
      made: x((message$) =>
        message$.pipe(
          take(1),
          map(() => reply({ type: 'pong', data: {} })),
        ),
      ),
      expected: 'wpp-p-',
    },
  ])('$when is done: what it is sent later is ignored, and the others go on', ({ made, expected }) => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('-xpxp-', SAID);
      const unsub = ' ------!';

      expectObservable(ask(e1, ada(scheduler, [made])), unsub).toBe(expected, HEARD);
    });
  });
});

describe('a handler that wants what may not be', () => {
  test.each<{ what: string; effect: unknown }>([
    { what: 'no effect at all', effect: undefined },
    { what: 'something that is no effect', effect: { kind: 'dance' } },
    { what: 'a message of the server’s own', effect: reply({ type: 'system', data: { event: 'welcome' } }) },
    { what: 'presence in a room', effect: publish({ type: 'presence', data: { status: 'online', clientId: 'ben' } }) },
    { what: 'to be the server', effect: publish({ type: 'chat' }, { as: 'server' }) },
    { what: 'to publish nothing', effect: { kind: 'publish' } },
    { what: 'rooms without a name', effect: { kind: 'join', rooms: [null] } },
    { what: 'rooms that are no list', effect: { kind: 'leave', rooms: 'tea' } },
    { what: 'to hear through no operator', effect: { kind: 'hear', operator: 1 } },
    { what: 'a close code that does not exist', effect: { kind: 'close', code: 1005, reason: '' } },
    { what: 'to close without a word', effect: { kind: 'close', code: 4000 } },
    { what: 'to be in a room that has no name', effect: { kind: 'join', rooms: [undefined] } },
    { what: 'to publish nothing', effect: { kind: 'publish' } },
  ])('$what costs its message an error, and goes on with what it knows', ({ effect }) => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -x---x---', SAID);
      const unsub = '   ---------!';
      const expected = 'w(X1)(X2)';

      const { lines, log } = errorLog();
      const wild = x((message$) =>
        message$.pipe(mergeMap((_, nth) => [effect as Effect, reply({ type: 'count', data: { content: String(nth + 1) } })])),
      );
      expectObservable(ask(e1, ada(scheduler, [wild], { log })), unsub).toBe(expected, HEARD);
      flush();
      expect(lines).toHaveLength(1);
    });
  });
});

describe('an effect that names no message in case of an error', () => {
  test.each<{ what: string; effect: Effect; told: string }>([
    { what: 'join', effect: join(['']), told: 'error invalid_message x' },
    { what: 'leave', effect: leave(['milk']), told: 'error not_in_room x' },
    { what: 'publish', effect: publish({ type: 'chat', room: 'milk' }), told: 'error not_in_room x' },
    { what: 'reject', effect: reject('forbidden', 'because'), told: 'error forbidden x' },
  ])('$what is about the one that is handled', ({ effect, told }) => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -x-', SAID);
      const unsub = '   ---!';
      const expected = 'wt-';

      const handlers = [x((message$) => message$.pipe(map(() => effect)))];
      expectObservable(ask(e1, ada(scheduler, handlers)), unsub).toBe(expected, { w: 'welcome', t: told });
    });
  });

  test('that comes while another handler’s message is handled is not about that one', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -xy-', { ...SAID, y: text({ type: 'y', id: 'y' }) });
      const unsub = '   ----!';
      const expected = 'w-(ta)';

      const other$ = new Subject<Effect>();
      const handlers = [
        x((message$) => merge(message$.pipe(ignoreElements()), other$)),
        handler('y', Type.Unknown(), (message$) =>
          message$.pipe(
            tap(() => {
              other$.next(join(['']));
            }),
            map(() => reply({ type: 'y', data: {} })),
          ),
        ),
      ];
      const heard = { w: 'welcome', t: 'error invalid_message', a: 'y' };
      expectObservable(ask(e1, ada(scheduler, handlers)), unsub).toBe(expected, heard);
    });
  });
});

describe('what a handler may know', () => {
  test('is its connection’s identity and id, ids, chance and time', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  ---x-', SAID);
      const unsub = '   -----!';
      const expected = 'w--k-';

      const knowing = x((message$, { connectionId, identity, random, scheduler: clock }) =>
        message$.pipe(
          map(() => [connectionId, identity, random(), clock.now()].join()),
          map((content) => reply({ type: 'known', data: { content } })),
        ),
      );
      const context = { ...ada(scheduler, [knowing]), identity: 'lovelace' };
      expectObservable(ask(e1, context), unsub).toBe(expected, { w: 'welcome', k: 'known ada,lovelace,0.5,3' });
    });
  });

  test('is a log of its own, which is made when it is first used', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -xpp-', SAID);
      const unsub = '   -----!';
      const expected = 'w-pp-';

      const children: object[] = [];
      const log: Logger = {
        ...silentLogger,
        child: (details) => {
          children.push(details);
          return silentLogger;
        },
      };
      const telling = x((message$, context) =>
        message$.pipe(
          tap(() => {
            context.log.info('one');
            context.log.info('two');
          }),
          ignoreElements(),
        ),
      );
      expectObservable(ask(e1, ada(scheduler, [telling], { log })), unsub).toBe(expected, HEARD);
      flush();
      expect(children).toEqual([{ handler: 'x', connection: 'ada' }]);
    });
  });

  test('is how to count', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -xx-', SAID);
      const unsub = '   ----!';
      const expected = 'w---';

      const counted: string[] = [];
      const metrics = { ...noMetrics, handlerEvent: (type: string, event: string) => counted.push(`${type} ${event}`) };
      const counting = handler(
        'x',
        Type.Unknown(),
        (message$, { count }) =>
          message$.pipe(
            tap(() => {
              count('seen');
            }),
            ignoreElements(),
          ),
        { events: ['seen'] },
      );
      expectObservable(ask(e1, ada(scheduler, [counting], { metrics })), unsub).toBe(expected, HEARD);
      flush();
      expect(counted).toEqual(['x seen', 'x seen']);
    });
  });
});
