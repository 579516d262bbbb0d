import { describe, expect, test } from '@jest/globals';
import { NEVER, Observable, Subject, ignoreElements, map, merge, mergeMap, tap, timer } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { connection } from '../../src/connection/connection.js';
import { close, join, leave, publish, reply, type Effect } from '../../src/handlers/effect.js';
import { silentLogger } from '../../src/runtime/log.js';
import { noMetrics } from '../../src/runtime/metrics.js';
import { reject } from '../../src/handlers/rejection.js';
import type { Inbound } from '../../src/connection/transport.js';
import { ask, text } from '../support/ask.js';
import { ScriptedBroker } from '../support/broker.js';
import { READY, rowConsumer } from '../support/consumer.js';
import { ada, errorLog, x } from '../support/faulty.js';
import { marbles } from '../support/marbles.js';
import { inRooms, virtualPod } from '../support/pod.js';

const SAID: Record<string, Inbound> = { x: text({ type: 'x', id: 'x' }), p: text({ type: 'ping' }) };

/** A handler that does this with each message, at once. */
function doing(effects: () => Iterable<Effect>) {
  return x((message$) => message$.pipe(mergeMap(effects)));
}

function many<T>(count: number, make: (nth: number) => T): readonly T[] {
  return Array.from({ length: count }, (_, nth) => make(nth));
}

function thrown(): never {
  throw new Error('not to be read');
}

/** An object with a member that throws when it is read. */
function throwing(member: PropertyKey, object: object = {}): object {
  return Object.defineProperty(object, member, { get: thrown, enumerable: true });
}

/** An object with a member that is another at the second look. */
function turning(member: string, first: string, then: string, object: object = {}): object {
  const values = [first];
  return Object.defineProperty(object, member, { get: () => values.shift() ?? then, enumerable: true });
}

/** A pod in whose tea room ada sits, and a broker that takes its time: 3 ms for a room and for a publish. */
function slowly(scheduler: TestScheduler, effects: () => Iterable<Effect>) {
  const broker = new ScriptedBroker();
  broker.confirm = (room) => (room === '' || room === 'tea' ? [true] : timer(3, scheduler).pipe(map(() => true)));
  broker.accept = () => timer(3, scheduler).pipe(ignoreElements());
  return { broker, context: ada(scheduler, [doing(effects)], { broker }) };
}

/** How often each row came. */
function counts(rows: readonly string[]): Readonly<Record<string, number>> {
  const counted: Record<string, number> = {};
  for (const row of rows) counted[row] = (counted[row] ?? 0) + 1;
  return counted;
}

describe('a handler that', () => {
  test('publishes ten thousand times for one message has two windows of it published, and is told of the rest', () => {
    marbles(({ hot, flush }, scheduler) => {
      const { broker, context } = slowly(scheduler, () => many(10_000, () => publish({ type: 'y' })));
      broker.returns = true;
      const rows: string[] = [];
      ask(hot('-x', SAID), context).subscribe((row) => rows.push(row));
      scheduler.maxFrames = 20;
      flush();
      expect(broker.published).toHaveLength(64);
      const echoes = Array.from({ length: 32 }, () => 'y').join(' + ');
      expect(counts(rows)).toEqual({ welcome: 1, 'error unavailable x': 9936, pause: 1, resume: 1, [echoes]: 2 });
    });
  });

  test('answers a million times ends its own connection, where that does not read as fast, and is not heard to the end', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  ---x', SAID);
      const expected = 'w--(s|)';

      let answered = 0;
      const { context } = slowly(scheduler, function* () {
        for (; answered < 1_000_000; answered += 1) yield reply({ type: 'y', data: {} });
      });
      expectObservable(ask(e1, context, rowConsumer(hot, '--f'))).toBe(expected, { w: 'welcome', s: 'shut 4000' });
      flush();
      expect(answered).toBeLessThan(300);
    });
  });

  test('joins and leaves a thousand rooms has left them all a second later, at the broker too', () => {
    marbles(({ hot, flush }, scheduler) => {
      const rooms = many(1000, (nth) => `room ${nth}`);
      const { broker, context } = slowly(scheduler, () => rooms.flatMap((room) => [join([room]), leave([room])]));
      const rows: string[] = [];
      ask(hot('-x 3s -', SAID), context).subscribe((row) => rows.push(row));
      scheduler.maxFrames = 1100;
      flush();
      expect(rows.filter((row) => row.startsWith('left'))).toHaveLength(1000);
      expect(rows.filter((row) => row.startsWith('joined'))).toEqual([]);
      expect([...broker.subscribed]).toEqual(['', 'tea']);
    });
  });

  test('joins another room whenever its rooms change ends at the limit', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -xp-', SAID);
      const unsub = '   ----!';

      const greedy = x((_, { rooms$ }) => rooms$.pipe(map(({ length }) => join([`room ${length}`]))));
      const rows: string[] = [];
      const members: number[] = [];
      const pod = virtualPod(scheduler, { handlers: [greedy] });
      expectObservable(
        ask(e1, inRooms(pod, 'ada', ['tea'])).pipe(
          tap((row) => rows.push(row)),
          ignoreElements(),
        ),
        unsub,
      ).toBe('-');
      timer(3, scheduler).subscribe(() => {
        members.push(pod.hub.memberCount('room 99'), pod.hub.memberCount('room 100'));
      });
      flush();
      expect(rows.filter((row) => row.startsWith('joined'))).toHaveLength(99);
      expect(rows.filter((row) => row.startsWith('error'))).toEqual(['error forbidden x', 'error unknown_type']);
      expect(members).toEqual([1, 0]);
    });
  });

  test.each<{ wants: string; effect: unknown }>([
    { wants: 'a publish that JSON cannot write', effect: publish({ type: 'y', data: { count: 1n } }) },
    { wants: 'an answer that JSON cannot write', effect: reply({ type: 'y', data: { count: 1n } }) },
    { wants: 'a publish of no number', effect: publish({ type: 'y', data: NaN }) },
    { wants: 'a publish of a date that is none', effect: publish({ type: 'y', data: new Date(NaN) }) },
    { wants: 'an answer that says it is null', effect: reply({ type: 'y', data: { toJSON: () => null } }) },
    { wants: 'an answer that throws when it is written', effect: reply({ type: 'y', data: { toJSON: thrown } }) },
    { wants: 'a publish to a room that is null', effect: { kind: 'publish', message: { type: 'y', room: null }, outside: true } },
    { wants: 'a publish to an array', effect: { kind: 'publish', message: { type: 'y', room: ['tea'] }, outside: true } },
    { wants: 'a publish of a symbol', effect: { kind: 'publish', message: { type: Symbol('y') } } },
    { wants: 'a publish without a message', effect: { kind: 'publish' } },
    { wants: 'a publish whose message is null', effect: { kind: 'publish', message: null } },
    { wants: 'an answer whose id is no text', effect: { kind: 'reply', type: 'y', data: {}, id: () => 1 } },
    { wants: 'rooms with a hole', effect: { kind: 'join', rooms: new Array(2) } },
    { wants: 'an error of no code', effect: { kind: 'rejection', code: 1n, reason: 'because' } },
    { wants: 'an error without a reason', effect: { kind: 'rejection', code: 'forbidden' } },
    { wants: 'a kind that throws when it is read', effect: throwing('kind') },
    { wants: 'a message that throws when it is read', effect: { kind: 'publish', message: throwing('type') } },
    { wants: 'rooms that throw when they are read', effect: { kind: 'leave', rooms: throwing(0, [1]) } },
    { wants: 'a symbol', effect: Symbol('effect') },
    { wants: 'null', effect: null },
  ])('wants $wants has failed: its message gets an error, the log its name, and all else goes on', ({ effect }) => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -xp', SAID);
      const unsub = '   ---!';
      const expected = 'wup';

      const { lines, log } = errorLog();
      const failed: string[] = [];
      const metrics = { ...noMetrics, handlerFailed: (type: string) => failed.push(type) };
      const broker = new ScriptedBroker();
      const context = ada(scheduler, [doing(() => [effect as Effect])], { broker, log, metrics });
      expectObservable(ask(e1, context), unsub).toBe(expected, { w: 'welcome', u: 'error unavailable x', p: 'pong' });
      flush();
      expect(lines).toMatchObject([{ type: 'x', connection: 'ada' }]);
      expect(failed).toEqual(['x']);
      expect(broker.published).toEqual([]);
    });
  });

  test('emits past every operator what throws when it is read has failed all the same', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -xp', SAID);
      const unsub = '   ---!';
      const expected = 'wup';

      const { lines, log } = errorLog();
      const raw = x(
        (message$) =>
          new Observable((subscriber) =>
            message$.subscribe(() => {
              subscriber.next(throwing('kind') as Effect);
            }),
          ),
      );
      expectObservable(ask(e1, ada(scheduler, [raw], { log })), unsub).toBe(expected, {
        w: 'welcome',
        u: 'error unavailable x',
        p: 'pong',
      });
      flush();
      expect(lines).toMatchObject([{ type: 'x', connection: 'ada' }]);
    });
  });

  test('says one thing when it is looked at and another when it is sent is held to the first', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const { broker, context } = slowly(scheduler, () => [
        { kind: 'publish', message: turning('type', 'y', 'presence') } as Effect,
        turning('type', 'y', 'system', { kind: 'reply', data: {} }) as Effect,
        turning('as', 'ben', 'server', { kind: 'publish', message: { type: 'y' } }) as Effect,
      ]);
      expectObservable(ask(hot('-x', SAID), context), '--!').toBe('wy', { w: 'welcome', y: 'y' });
      flush();
      expect(broker.published).toHaveLength(2);
      for (const published of broker.published) expect(published).not.toMatch(/presence|"server"/);
    });
  });

  test('names a message by an id without end is told of it by none', () => {
    const endless = 'i'.repeat(200);
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -x', { x: text({ type: 'x', id: endless }) });
      const { context } = slowly(scheduler, () => [
        join(['/'], { ref: endless }),
        leave(['/'], { ref: endless }),
        publish({ type: 'y', room: '/' }, { ref: endless }),
        reply({ type: 'y', data: 1n, ref: endless }),
        reject('forbidden', 'because', endless),
      ]);
      expectObservable(ask(e1, context), '--!').toBe('w(inNuf)', {
        w: 'welcome',
        i: 'error invalid_message',
        n: 'error not_in_room',
        N: 'error not_in_room',
        u: 'error unavailable',
        f: 'error forbidden',
      });
    });
  });

  test('joins when it is out and leaves when it is in has failed, and its connection lives', () => {
    marbles(({ hot, flush }, scheduler) => {
      const { lines, log } = errorLog();
      const restless = x((message$, { rooms$ }) =>
        merge(
          message$.pipe(map(() => join(['milk']))),
          rooms$.pipe(map((rooms) => (rooms.includes('milk') ? leave(['milk']) : join(['milk'])))),
        ),
      );
      const rows: string[] = [];
      ask(hot('-xp', SAID), ada(scheduler, [restless], { log })).subscribe((row) => rows.push(row));
      scheduler.maxFrames = 5;
      flush();
      expect(counts(rows)).toMatchObject({ welcome: 1, pong: 1 });
      expect(rows.filter((row) => row.startsWith('error unavailable'))).not.toEqual([]);
      expect(lines[0]).toEqual({ err: 'Error: effects that lead to effects without end', type: 'x', connection: 'ada' });
    });
  });

  test('fails with an error that throws when it is read has failed all the same', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -xp', SAID);
      const unsub = '   ---!';
      const expected = 'wup';

      const lines: unknown[] = [];
      const log = {
        ...silentLogger,
        error: (details: object | string) => {
          const { err } = details as { err?: Error };
          lines.push(err === undefined ? details : err.message);
        },
      };
      const failing = x((message$) =>
        message$.pipe(
          map(() => {
            throw throwing('message') as Error;
          }),
        ),
      );
      expectObservable(ask(e1, ada(scheduler, [failing], { log })), unsub).toBe(expected, {
        w: 'welcome',
        u: 'error unavailable x',
        p: 'pong',
      });
      flush();
      expect(lines).toEqual([{ type: 'x', connection: 'ada' }]);
    });
  });

  test('goes on after it has closed its connection is not heard', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -xx', SAID);
      const expected = 'w(s|)';

      const { broker, context } = slowly(scheduler, () => [
        close(4100, 'enough'),
        publish({ type: 'y' }),
        reply({ type: 'y', data: {} }),
      ]);
      expectObservable(ask(e1, context)).toBe(expected, { w: 'welcome', s: 'shut 4100' });
      flush();
      expect(broker.published).toEqual([]);
    });
  });

  test('goes on after its connection has ended is not heard', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -x------', SAID);
      const unsub = '   ---!    ';
      const expected = 'w-       ';

      const broker = new ScriptedBroker();
      const later$ = hot('------y');
      const stubborn = x(
        () =>
          new Observable<Effect>((subscriber) => {
            // Without a teardown: it knows of no end.
            later$.subscribe(() => {
              for (const effect of [publish({ type: 'y' }), join(['milk']), reply({ type: 'y', data: {} })])
                subscriber.next(effect);
            });
          }),
      );
      expectObservable(ask(e1, ada(scheduler, [stubborn], { broker })), unsub).toBe(expected.trim(), { w: 'welcome' });
      flush();
      expect(broker.published).toEqual([]);
      expect([...broker.subscribed]).toEqual(['']);
    });
  });

  test('gives a reason without end has it cut to what a close frame takes', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -x', SAID);
      const expected = 'w(s|)';

      const { context } = slowly(scheduler, () => [close(4500, 'é'.repeat(1000))]);
      const reasonBytes$ = connection(e1, READY, context).pipe(
        map((outbound) => (outbound.kind === 'shut' ? String(Buffer.byteLength(outbound.reason)) : 'w')),
      );
      expectObservable(reasonBytes$).toBe(expected, { w: 'w', s: '122' });
    });
  });

  test('gives the reason of an error without end has it cut', () => {
    marbles(({ hot, flush }, scheduler) => {
      const { context } = slowly(scheduler, () => [reject('forbidden', 'x'.repeat(1_000_000), 'y'.repeat(1_000_000))]);
      const sizes: number[] = [];
      connection(hot('-x', SAID), READY, context).subscribe((outbound) => {
        if (outbound.kind === 'batch') sizes.push(outbound.bytes);
      });
      scheduler.maxFrames = 5;
      flush();
      expect(sizes[1]).toBeLessThan(1500);
    });
  });

  test('never takes a message lets the others have theirs', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -xpxp', SAID);
      const unsub = '   -----!';
      const expected = 'w-p-p';

      expectObservable(ask(e1, ada(scheduler, [x(() => NEVER)])), unsub).toBe(expected, { w: 'welcome', p: 'pong' });
    });
  });

  test('keeps something of one connection for another has done there what that connection may', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const shared$ = new Subject<Effect>();
      const sharing = x((message$) =>
        merge(
          shared$,
          message$.pipe(
            tap(() => {
              shared$.next(publish({ type: 'y', room: 'tea' }));
            }),
            ignoreElements(),
          ),
        ),
      );
      const broker = new ScriptedBroker();
      const pod = virtualPod(scheduler, { handlers: [sharing], broker });
      const heard = { w: 'welcome', n: 'error not_in_room', x: 'error not_in_room x' };
      expectObservable(ask(hot('-x-', SAID), inRooms(pod, 'ben', ['milk'])), '----!').toBe('wxn', heard);
      expectObservable(ask(hot('--x', SAID), inRooms(pod, 'ada', ['tea'])), '----!').toBe('w--', heard);
      flush();
      expect(broker.published.map((each) => each.split(' ')[0])).toEqual(['tea']);
    });
  });
});
