import { describe, expect, test } from '@jest/globals';
import type { Envelope } from '../../src/protocol/protocol.js';
import { concat, ignoreElements, map, throwError, timer, type Observable } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { validate } from 'uuid';
import type { Grant } from '../../src/auth/grant.js';
import { PublishError } from '../../src/broker/broker.js';
import { readConfig } from '../../src/config/config.js';
import { publish, reply, type Effect } from '../../src/handlers/effect.js';
import { POD_BYTES } from '../../src/hub/publish-budget.js';
import { builtInHandlers } from '../../src/handlers/built-in/index.js';
import type { Inbound } from '../../src/connection/transport.js';
import { act, acting } from '../support/acting.js';
import { ask, text } from '../support/ask.js';
import { ScriptedBroker } from '../support/broker.js';
import { marbles } from '../support/marbles.js';
import { inRooms, virtualPod } from '../support/pod.js';

function said(content: string): Effect {
  return publish({ type: 'said', data: { content } });
}

const SAID: Record<string, Inbound> = {
  f: act('five', { id: 'f' }),
  o: act('one'),
  p: text({ type: 'ping' }),
  l: act('late'),
  d: { kind: 'drain', closeInMs: 0, reconnectInMs: 0 },
  D: { kind: 'drain', closeInMs: 5, reconnectInMs: 0 },
};

const HEARD = {
  w: 'welcome',
  u: 'error unavailable f',
  P: 'pause',
  a: 'said a + said b',
  c: 'said c + said d',
  o: 'said one',
  L: 'said late',
  R: 'resume',
  p: 'pong',
  d: 'shutdown',
  s: 'shut 1001',
};

/** A pod with a publish window of two, and a broker that takes 5 ms to accept what is published, returns it, and notes when it is. */
function slowly(scheduler: TestScheduler) {
  const published: string[] = [];
  const broker = new ScriptedBroker();
  broker.returns = true;
  broker.accept = (_, payload) => {
    const { data } = JSON.parse(payload) as { data: { content: string } };
    published.push(`${data.content} at ${scheduler.now()}`);
    return timer(5, scheduler).pipe(ignoreElements());
  };
  const effects = {
    five: () => ['a', 'b', 'c', 'd', 'e'].map(said),
    one: () => [said('one')],
    late: () => timer(5, scheduler).pipe(map(() => said('late'))),
  };
  const handlers = [...builtInHandlers, acting(effects)];
  return { published, broker, pod: virtualPod(scheduler, { broker, handlers, limits: readConfig({ PUBLISH_WINDOW: '2' }) }) };
}

describe('more publishes of one message than the window takes', () => {
  test('wait for their turn, as many as the window takes, and what is beyond gets an error', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -f-------------', SAID);
      const unsub = '   ---------------!';
      const expected = 'w(Pu)-a----(cR) ';

      const { published, pod } = slowly(scheduler);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
      flush();
      expect(published).toEqual(['a at 1', 'b at 1', 'c at 6', 'd at 6']);
    });
  });

  test('bear the time at which they are sent, not that at which they began to wait', () => {
    marbles(({ hot, flush }, scheduler) => {
      const { broker, pod } = slowly(scheduler);
      const times: string[] = [];
      broker.events$.subscribe((event) => {
        if (event.kind !== 'publication') return;
        const { data, timestamp } = JSON.parse(event.payload.toString()) as Envelope & { data: { content: string } };
        times.push(`${data.content} of ${Date.parse(timestamp)} at ${scheduler.now()}`);
      });
      ask(hot('-f', SAID), inRooms(pod, 'ada', ['tea'])).subscribe();
      scheduler.maxFrames = 30;
      flush();
      expect(times).toEqual(['a of 1 at 6', 'b of 1 at 6', 'c of 6 at 11', 'd of 6 at 11']);
    });
  });

  test('go before those of the next message', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -fo-----------------', SAID);
      const unsub = '   -------------------!';
      const expected = 'w(Pu)-a----(cR)-o  ';

      const { published, pod } = slowly(scheduler);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
      flush();
      expect(published).toEqual(['a at 1', 'b at 1', 'c at 6', 'd at 6', 'one at 11']);
    });
  });

  test('settle before a drain closes', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -f---d---------', SAID);
      const expected = 'w(Pu)da----(cs|)';

      const { published, pod } = slowly(scheduler);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea']))).toBe(expected, HEARD);
      flush();
      expect(published).toEqual(['a at 1', 'b at 1', 'c at 6', 'd at 6']);
    });
  });

  test('settle before a drain closes, those too that a handler comes to during the drain', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -lD--------------', SAID);
      const expected = 'w-(dP)-----(Ls|)';

      const { published, pod } = slowly(scheduler);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea']))).toBe(expected, HEARD);
      flush();
      expect(published).toEqual(['late at 6']);
    });
  });

  test('outlive their connection, as every publish does', () => {
    marbles(({ hot, expectObservable, flush }, scheduler) => {
      const e1 = hot('  -f---------', SAID);
      const unsub = '   --!        ';
      const expected = 'w(Pu)       ';

      const { published, pod } = slowly(scheduler);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
      flush();
      expect(published).toEqual(['a at 1', 'b at 1', 'c at 6', 'd at 6']);
    });
  });
});

describe('publishes that are large', () => {
  /** A pod whose broker takes 5 ms, and a handler that publishes so many messages of 60 KB. */
  function largely(scheduler: TestScheduler, accept = (): Observable<never> => timer(5, scheduler).pipe(ignoreElements())) {
    const published: string[] = [];
    const broker = new ScriptedBroker();
    broker.returns = true;
    broker.accept = (room) => {
      published.push(`${room} at ${scheduler.now()}`);
      return accept();
    };
    const large = () => publish({ type: 'said', data: { content: 'x'.repeat(60_000) } });
    const effects = {
      five: () => Array.from({ length: 5 }, large),
      thirty: () => Array.from({ length: 30 }, large),
      one: () => [said('one')],
    };
    return { published, broker, pod: virtualPod(scheduler, { broker, handlers: [...builtInHandlers, acting(effects)] }) };
  }

  test('are as many as the bytes of a connection allow, and the others wait', () => {
    marbles(({ hot, flush }, scheduler) => {
      const { published, pod } = largely(scheduler);
      ask(hot('-f', SAID), inRooms(pod, 'ada', ['tea'])).subscribe();
      timer(20, scheduler).subscribe(() => {
        expect([pod.held.bytes, pod.hub.budget.underWayBytes]).toEqual([0, 0]);
      });
      scheduler.maxFrames = 30;
      flush();
      expect(published).toEqual(['tea at 1', 'tea at 1', 'tea at 6', 'tea at 6', 'tea at 11']);
    });
  });

  test('of many connections are as many as the pod’s budget allows; a small one of who has none under way is not held up', () => {
    marbles(({ hot, flush }, scheduler) => {
      const { published, pod } = largely(scheduler);
      for (let nth = 0; nth < 20; nth++) ask(hot('-f', SAID), inRooms(pod, `loud ${nth}`, [`room ${nth}`])).subscribe();
      ask(hot('--o', SAID), inRooms(pod, 'ada', ['tea'])).subscribe();
      timer(4, scheduler).subscribe(() => {
        expect(pod.hub.budget.underWayBytes).toBeLessThan(POD_BYTES);
        expect(published.filter((each) => each.endsWith(' at 1')).length).toBe(34);
        expect(published).toContain('tea at 2');
      });
      timer(40, scheduler).subscribe(() => {
        expect(published.length).toBe(101);
        expect([pod.held.bytes, pod.hub.budget.underWayBytes]).toEqual([0, 0]);
      });
      scheduler.maxFrames = 50;
      flush();
    });
  });

  test.each([
    { what: 'they come back', accept: undefined },
    { what: 'they fail', accept: () => throwError(() => new PublishError('unavailable', 'down')) },
  ])('hold bytes of the pod until $what, though their connection went while they waited', ({ accept }) => {
    marbles(({ hot, flush }, scheduler) => {
      const { pod } = largely(scheduler, accept && (() => concat(timer(5, scheduler).pipe(ignoreElements()), accept())));
      const asking = ask(hot('-t', { t: act('thirty') }), inRooms(pod, 'ada', ['tea'])).subscribe();
      timer(2, scheduler).subscribe(() => {
        expect(pod.held.bytes).toBeGreaterThan(30 * 60_000);
        asking.unsubscribe();
      });
      timer(90, scheduler).subscribe(() => {
        expect([pod.held.bytes, pod.hub.budget.underWayBytes]).toEqual([0, 0]);
      });
      scheduler.maxFrames = 100;
      flush();
    });
  });
});

/** What a connection in the tea room is told when a handler of it publishes, and what the broker is given. */
function publishing(effect: Effect, grant?: Grant): { readonly told: string[]; readonly given: Record<string, unknown>[] } {
  const told: string[] = [];
  const broker = new ScriptedBroker();
  marbles(({ hot, expectObservable }, scheduler) => {
    const pod = virtualPod(scheduler, { broker, handlers: [acting({ it: () => [effect] })] });
    const access = grant && { grant, expiresAtMs: Infinity };
    const e1 = hot('  -i-', { i: act('it', { id: 'i' }) });
    ask(e1, { ...inRooms(pod, 'ada', ['tea']), access }).subscribe((row) => told.push(row));
    expectObservable(hot('---'), '---!').toBe('---');
    scheduler.maxFrames = 3;
  });
  const given = broker.published.map((each) => JSON.parse(each.slice(each.indexOf(' '))) as Record<string, unknown>);
  return { told: told.slice(1), given };
}

const EVERYTHING: Grant = { mayJoin: () => true, mayPublish: () => true, mayPublishGlobally: () => true };

describe('a publish', () => {
  test('has every member of an envelope, whatever the handler left out', () => {
    const { told, given } = publishing(publish({ type: 'note' }));
    expect(told).toEqual([]);
    expect(given).toEqual([
      { id: 'id-2', type: 'note', room: 'tea', from: 'ada', data: {}, timestamp: '1970-01-01T00:00:00.001Z' },
    ]);
  });

  test('can say openly that it is in somebody else’s name', () => {
    expect(publishing(publish({ type: 'note' }, { as: 'the-bot' })).given).toMatchObject([{ from: 'the-bot' }]);
  });

  test.each(['server', '', 'x'.repeat(256), 'two\nlines'])('but never in that of %j', (as) => {
    const { told, given } = publishing(publish({ type: 'note' }, { as }));
    expect(told).toEqual(['error unavailable i']);
    expect(given).toEqual([]);
  });

  test.each(['presence', 'notification', 'system', 'error', 'ping', 'pong', ''])('is never of the type %j', (type) => {
    const { told, given } = publishing(publish({ type }));
    expect(told).toEqual(['error unavailable i']);
    expect(given).toEqual([]);
  });

  test('goes to no room that the connection is not in', () => {
    const { told, given } = publishing(publish({ type: 'note', room: 'milk' }));
    expect(told).toEqual(['error not_in_room i']);
    expect(given).toEqual([]);
  });

  test('can say openly that it goes to one all the same', () => {
    const { told, given } = publishing(publish({ type: 'note', room: 'milk' }, { outside: true }));
    expect(told).toEqual([]);
    expect(given).toMatchObject([{ room: 'milk' }]);
  });

  test.each([undefined, '', ' milk', 'a/b'])('which has to be called by a name that a room may have, and not %j', (room) => {
    const { told, given } = publishing(publish({ type: 'note', room }, { outside: true }));
    expect(told).toEqual(['error invalid_message i']);
    expect(given).toEqual([]);
  });

  test.each<{ where: string; effect: Effect; grant: Partial<Grant> }>([
    { where: 'in its room', effect: publish({ type: 'note' }), grant: { mayPublish: () => false } },
    {
      where: 'outside',
      effect: publish({ type: 'note', room: 'milk' }, { outside: true }),
      grant: { mayPublish: (room) => room === 'tea' },
    },
    { where: 'everywhere', effect: publish({ type: 'note', room: '' }), grant: { mayPublishGlobally: () => false } },
  ])('$where needs the token’s grant', ({ effect, grant }) => {
    expect(publishing(effect, EVERYTHING).told).toEqual([]);
    const { told, given } = publishing(effect, { ...EVERYTHING, ...grant });
    expect(told).toEqual(['error forbidden i']);
    expect(given).toEqual([]);
  });

  test.each([
    { bytes: 66_560, content: (rest: number) => 'x'.repeat(rest), told: [] },
    { bytes: 66_561, content: (rest: number) => 'x'.repeat(rest), told: ['error invalid_message i'] },
    { bytes: 66_560, content: (rest: number) => 'é'.repeat(rest / 2) + 'x'.repeat(rest % 2), told: [] },
    { bytes: 66_561, content: (rest: number) => 'é'.repeat(rest / 2) + 'x'.repeat(rest % 2), told: ['error invalid_message i'] },
  ])('may take 66,560 bytes and no more: $bytes', ({ bytes, content, told }) => {
    const [empty] = publishing(publish({ type: 'note', data: { content: '' } })).given;
    const rest = bytes - Buffer.byteLength(JSON.stringify(empty));
    const outcome = publishing(publish({ type: 'note', data: { content: content(rest) } }));
    expect(outcome.told).toEqual(told);
    expect(outcome.given.map((envelope) => Buffer.byteLength(JSON.stringify(envelope)))).toEqual(told.length > 0 ? [] : [bytes]);
  });

  test('of a message with a UUID keeps it, and gets a fresh id otherwise', () => {
    const id = '01a208ee-d459-7084-9d8f-f45534ab0924';
    expect(validate(id)).toBe(true);
    expect(publishing(publish({ type: 'note', id })).given).toMatchObject([{ id }]);
    expect(publishing(publish({ type: 'note', id: 'mine' })).given).toMatchObject([{ id: 'id-2' }]);
  });
});

describe('a reply', () => {
  test.each([
    { characters: 66_000, told: ['note'] },
    { characters: 66_561, told: ['error unavailable i'] },
  ])('may be no larger than a publish: $characters characters', ({ characters, told }) => {
    expect(publishing(reply({ type: 'note', data: { text: 'x'.repeat(characters) } })).told).toEqual(told);
  });
});
