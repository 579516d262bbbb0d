import { describe, expect, test } from '@jest/globals';
import { EMPTY, filter, map, scan, tap } from 'rxjs';
import Type from 'typebox';
import { transform, publish, reply, type Effect } from '../../src/handlers/effect.js';
import { handler } from '../../src/handlers/handler.js';
import { reject } from '../../src/handlers/rejection.js';
import type { Inbound } from '../../src/connection/transport.js';
import { middleware } from '../../src/handlers/middleware.js';
import { ask, text } from '../support/ask.js';
import { ScriptedBroker } from '../support/broker.js';
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

describe('what goes around the handlers', () => {
  test('stands before and after them', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -pxp-', SAID);
      const unsub = '   -----!';
      const expected = 'wP-P-';

      const loud = middleware('loud', (message$, handle) =>
        message$.pipe(
          filter(({ type }) => type !== 'x'),
          handle,
          map((effect) => (effect.kind === 'reply' ? { ...effect, type: effect.type.toUpperCase() } : effect)),
        ),
      );
      const context = ada(scheduler, [x((message$) => message$.pipe(map(() => reply({ type: 'x', data: {} }))))], {
        middleware: [loud],
      });
      expectObservable(ask(e1, context), unsub).toBe(expected, { w: 'welcome', P: 'PONG' });
    });
  });

  test('is nested, the first outermost', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -p-', SAID);
      const unsub = '   ---!';
      const expected = 'wp-';

      const passed: string[] = [];
      const noting = (name: string) =>
        middleware(name, (message$, handle) =>
          message$.pipe(
            tap(({ type }) => passed.push(`${name} before ${type}`)),
            handle,
            tap(({ kind }) => passed.push(`${name} after ${kind}`)),
          ),
        );
      const middlewares = [noting('outer'), noting('inner')];
      expectObservable(ask(e1, ada(scheduler, [], { middleware: middlewares })), unsub).toBe(expected, HEARD);
      flush();
      expect(passed).toEqual(['outer before ping', 'inner before ping', 'inner after reply', 'outer after reply']);
    });
  });

  test('is made with the first message that passed its check, and sees no other', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -n-pnp-', SAID);
      const unsub = '   -------!';
      const expected = 'wn-pnp-';

      const seen: string[] = [];
      const watching = middleware('watching', (message$, handle, { scheduler: clock }) => {
        seen.push(`made at ${clock.now()}`);
        return message$.pipe(
          tap(({ type }) => seen.push(type)),
          handle,
        );
      });
      expectObservable(ask(e1, ada(scheduler, [], { middleware: [watching] })), unsub).toBe(expected, HEARD);
      flush();
      expect(seen).toEqual(['made at 3', 'ping', 'ping']);
    });
  });

  test('has what it changed checked again', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -xp-', SAID);
      const unsub = '   ----!';
      const expected = 'wui-';

      const changing = middleware('changing', (message$, handle) =>
        message$.pipe(
          map((message) => (message.type === 'x' ? { ...message, type: 'y' } : { ...message, type: 'chat', data: 1 })),
          handle,
        ),
      );
      const context = ada(scheduler, [x(() => EMPTY)], { middleware: [changing] });
      const heard = { w: 'welcome', u: 'error unknown_type x', i: 'error invalid_message p' };
      expectObservable(ask(e1, context), unsub).toBe(expected, heard);
    });
  });

  test('may refuse a message, which is told of it', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -p-', SAID);
      const unsub = '   ---!';
      const expected = 'wr-';

      const refusing = middleware('refusing', (message$) => message$.pipe(map(() => reject('forbidden', 'not today'))));
      const context = ada(scheduler, [], { middleware: [refusing] });
      expectObservable(ask(e1, context), unsub).toBe(expected, { w: 'welcome', r: 'error forbidden p' });
    });
  });

  test('that fails costs its message an error and all state within it, and nothing outside', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -ssfps-', SAID);
      const unsub = '   -------!';
      const expected = 'w12eP1-';

      const { lines, log } = errorLog();
      const numbering = middleware('numbering', (message$, handle) =>
        message$.pipe(
          handle,
          scan<Effect, readonly [number, Effect]>(([nth], effect) => [nth + 1, effect], [0, reject('unavailable', '')]),
          map(([nth, effect]) =>
            effect.kind === 'reply' && effect.type === 'pong' ? { ...effect, type: `nth ${nth}` } : effect,
          ),
        ),
      );
      const failing = middleware('failing', (message$, handle) =>
        message$.pipe(
          tap(({ data }) => {
            if (data === 'fail') throw new Error('a bug');
          }),
          handle,
        ),
      );
      const context = ada(scheduler, [faulty()], { middleware: [numbering, failing], log });
      expectObservable(ask(e1, context), unsub).toBe(expected, { ...HEARD, P: 'nth 4' });
      flush();
      expect(lines).toEqual([{ err: 'Error: a bug', type: 'failing', connection: 'ada' }]);
    });
  });

  test('leaves each handler what it hears through', () => {
    marbles(({ hot, cold, expectObservable }, scheduler) => {
      const e1 = hot('     -xz-', { x: text({ type: 'x' }), z: text({ type: 'z' }) });
      const delivered = '  ---abc';
      const unsub = '      ------!';
      const expected = '   w----c';

      const deafTo = (deaf: string) => map(() => transform(filter(({ data }) => (data as { content: string }).content !== deaf)));
      const plain = middleware('plain', (message$, handle) => message$.pipe(handle));
      const handlers = [x(deafTo('a')), handler('z', Type.Unknown(), deafTo('b'))];
      const broker = new ScriptedBroker();
      cold(delivered).subscribe((content) => {
        broker.deliver('tea', content);
      });
      expectObservable(ask(e1, ada(scheduler, handlers, { middleware: [plain], broker })), unsub).toBe(expected, {
        w: 'welcome',
        c: 'chat c',
      });
    });
  });

  test('hands on what cannot be carried out: the handler whose it is has failed', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -x', SAID);
      const unsub = '   --!';
      const expected = 'wX';

      const { lines, log } = errorLog();
      const plain = middleware('plain', (message$, handle) => message$.pipe(handle));
      const big = x(map(() => publish({ type: 'y', data: 1n })));
      expectObservable(ask(e1, ada(scheduler, [big], { middleware: [plain], log })), unsub).toBe(expected, HEARD);
      flush();
      expect(lines).toMatchObject([{ type: 'x', connection: 'ada' }]);
    });
  });

  test('hands on what names nobody there is: it is its own', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -x', SAID);
      const unsub = '   --!';
      const expected = 'wX';

      const { lines, log } = errorLog();
      const lying = middleware('lying', (message$, handle) =>
        message$.pipe(
          handle,
          map((effect) => ({ ...effect, by: 'nobody' }) as Effect),
        ),
      );
      const big = x(map(() => publish({ type: 'y', data: 1n })));
      expectObservable(ask(e1, ada(scheduler, [big], { middleware: [lying], log })), unsub).toBe(expected, HEARD);
      flush();
      expect(lines).toMatchObject([{ type: 'lying', connection: 'ada' }]);
    });
  });

  test('keeps a handler’s failure within that handler', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -sfps-', SAID);
      const unsub = '   ------!';
      const expected = 'w1ep1-';

      const plain = middleware('plain', (message$, handle) => message$.pipe(handle));
      expectObservable(ask(e1, ada(scheduler, [faulty()], { middleware: [plain] })), unsub).toBe(expected, HEARD);
    });
  });
});
