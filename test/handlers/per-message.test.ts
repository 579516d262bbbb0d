import { describe, expect, test } from '@jest/globals';
import { map, mergeMap, of, throwError, timeout, timer } from 'rxjs';
import { close, transform, join, leave, publish, reply, type Effect } from '../../src/handlers/effect.js';
import { reject } from '../../src/handlers/rejection.js';
import { perMessage } from '../../src/handlers/per-message.js';
import type { ClientMessage } from '../../src/protocol/protocol.js';
import { marbles } from '../support/marbles.js';

const MESSAGES: Record<string, ClientMessage> = {
  a: { type: 'x', id: 'a' },
  b: { type: 'x', id: 'b' },
  c: { type: 'x', id: 'c' },
  n: { type: 'x' },
};

/** An answer that says which message it is to. */
function answer({ id }: ClientMessage): Effect {
  return reply({ type: 'answer', data: id });
}

/** What became of a message, in brief. */
function brief(effect: Effect): string {
  if (effect.kind === 'reply') return `answer ${String(effect.data)}`;
  if (effect.kind === 'rejection')
    return `${effect.code} ${effect.ref ?? 'nobody'}${effect.error instanceof Error ? ` ${effect.error.message}` : ''}`;
  return effect.kind;
}

const BRIEF = { a: 'answer a', b: 'answer b', c: 'answer c', o: 'unavailable c', e: 'unavailable a a bug' };

describe('perMessage', () => {
  test('keeps order, one message at a time, where nothing else is said', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -abc------|', MESSAGES);
      const expected = '---a-b-c--|';

      const result = e1.pipe(
        perMessage((message) => timer(2, scheduler).pipe(map(() => answer(message)))),
        map(brief),
      );
      expectObservable(result).toBe(expected, BRIEF);
    });
  });

  test('works on as many at once as it is told', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -abc------|', MESSAGES);
      const expected = '---abc----|';

      const work = (message: ClientMessage) => timer(2, scheduler).pipe(map(() => answer(message)));
      expectObservable(e1.pipe(perMessage(work, { concurrency: 3 }), map(brief))).toBe(expected, BRIEF);
    });
  });

  test('tells of a message that finds no place to wait', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -abc------|', MESSAGES);
      const expected = '---oa--b--|';

      const work = (message: ClientMessage) => timer(3, scheduler).pipe(map(() => answer(message)));
      expectObservable(e1.pipe(perMessage(work, { queue: 1 }), map(brief))).toBe(expected, BRIEF);
    });
  });

  test('tells of a message whose work fails, with the error for the log, and goes on with the others', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -ab-------|', MESSAGES);
      const expected = '---eb-----|';

      const work = (message: ClientMessage) =>
        timer(2, scheduler).pipe(
          mergeMap(() => (message.id === 'a' ? throwError(() => new Error('a bug')) : of(answer(message)))),
        );
      expectObservable(e1.pipe(perMessage(work, { concurrency: 2 }), map(brief))).toBe(expected, BRIEF);
    });
  });

  test('makes a timeout one message’s own', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }, scheduler) => {
      const e1 = hot('  -a---b----|', MESSAGES);
      const never = cold('----------');
      const subs = ['   -^--!      ', '-----^--!  '];
      const expected = '----t---u-|';

      const result = e1.pipe(
        perMessage(() =>
          never.pipe(
            map(() => close(1000, '')),
            timeout({ first: 3, scheduler }),
          ),
        ),
      );
      const code = result.pipe(map((effect) => (effect.kind === 'rejection' ? effect.ref : 'nothing')));
      expectObservable(code).toBe(expected, { t: 'a', u: 'b' });
      expectSubscriptions(never.subscriptions).toBe(subs);
    });
  });

  test('ends the work under way with its subscriber', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const e1 = hot('  -ab-------', MESSAGES);
      const unsub = '   ----!     ';
      const e1subs = '  ^---!     ';
      const work = cold(' ----------');
      const subs = '    -^--!     ';
      const expected = '----------';

      expectObservable(e1.pipe(perMessage(() => work.pipe(map(() => close(1000, ''))))), unsub).toBe(expected);
      expectSubscriptions(e1.subscriptions).toBe(e1subs);
      expectSubscriptions(work.subscriptions).toBe(subs);
    });
  });

  test.each<{ effect: Effect; ref: string | undefined }>([
    { effect: join(['tea']), ref: 'a' },
    { effect: leave(['tea']), ref: 'a' },
    { effect: reject('forbidden', 'because'), ref: 'a' },
    { effect: publish({ type: 'y' }), ref: 'a' },
    { effect: join(['tea'], { ref: 'another' }), ref: 'another' },
    { effect: publish({ type: 'y' }, { ref: 'another' }), ref: 'another' },
    { effect: reply({ type: 'y', data: {} }), ref: 'a' },
    { effect: transform(undefined), ref: undefined },
    { effect: close(1000, ''), ref: undefined },
  ])('lets an effect be about its message: $effect.kind of $ref', ({ effect, ref }) => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -a-|', MESSAGES);
      const expected = '-x-|';

      const result = e1.pipe(perMessage(() => [effect]));
      expectObservable(result).toBe(expected, { x: ref === undefined ? effect : { ...effect, ref } });
    });
  });

  test('leaves an effect of a message without an id as it is', () => {
    marbles(({ hot, expectObservable }) => {
      const e1 = hot('  -n-|', MESSAGES);
      const expected = '-x-|';

      expectObservable(e1.pipe(perMessage(() => [join(['tea'])]))).toBe(expected, { x: join(['tea']) });
    });
  });

  test('takes a promise of an effect', async () => {
    const effects: Effect[] = [];
    const done = new Promise<void>((resolve) => {
      of<ClientMessage>({ type: 'x', id: 'a' })
        .pipe(perMessage((message) => Promise.resolve(answer(message))))
        .subscribe({ next: (effect) => effects.push(effect), complete: resolve });
    });
    await done;
    expect(effects.map(brief)).toEqual(['answer a']);
  });
});
