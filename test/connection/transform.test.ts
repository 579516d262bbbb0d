import { describe, expect, test } from '@jest/globals';
import {
  NEVER,
  delay,
  filter,
  finalize,
  ignoreElements,
  map,
  mergeMap,
  range,
  switchMap,
  take,
  tap,
  throwError,
  type MonoTypeOperatorFunction,
  type Observable,
} from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { connection } from '../../src/connection/connection.js';
import { transform } from '../../src/handlers/effect.js';
import { builtInHandlers } from '../../src/handlers/built-in/index.js';
import { silentLogger, type Logger } from '../../src/runtime/log.js';
import type { Batch } from '../../src/hub/frame.js';
import type { PodParts } from '../../src/server/pod.js';
import type { Pod } from '../../src/connection/context.js';
import type { Envelope } from '../../src/protocol/protocol.js';
import type { Inbound } from '../../src/connection/transport.js';
import { act, acting } from '../support/acting.js';
import { ask, text } from '../support/ask.js';
import { ScriptedBroker } from '../support/broker.js';
import { READY, rowConsumer } from '../support/consumer.js';
import { marbles } from '../support/marbles.js';
import { inRooms, readable, virtualPod } from '../support/pod.js';

type OutboundTransform = MonoTypeOperatorFunction<Envelope>;

function content({ data }: Envelope): string {
  return (data as { content: string }).content;
}

function changed(envelope: Envelope, change: (content: string) => string): Envelope {
  return { ...envelope, data: { content: change(content(envelope)) } };
}

const without =
  (unwanted: string): OutboundTransform =>
  (heard$) =>
    heard$.pipe(filter((envelope) => content(envelope) !== unwanted));

const shouted: OutboundTransform = map((envelope) => changed(envelope, (said) => said.toUpperCase()));

const fragile: OutboundTransform = map((envelope) => {
  if (content(envelope) === 'bad') throw new Error('a bug');
  return envelope;
});

/** A pod with types `do` and `re` that have a connection hear otherwise, and a broker that delivers what a test says. */
function hearing(
  scheduler: TestScheduler,
  operators: Readonly<Record<string, OutboundTransform | undefined>>,
  parts: Partial<PodParts> = {},
) {
  const broker = new ScriptedBroker();
  const effects = Object.fromEntries(Object.entries(operators).map(([name, operator]) => [name, () => [transform(operator)]]));
  const handlers = [...builtInHandlers, acting(effects, 'do'), acting(effects, 're')];
  return { broker, pod: virtualPod(scheduler, { broker, handlers, ...parts }) };
}

/** Has the broker deliver to the tea room what a row says. */
function saying(said$: Observable<string>, broker: ScriptedBroker): void {
  said$.subscribe((each) => {
    broker.deliver('tea', each);
  });
}

const CONTENTS = { a: 'a', b: 'b', x: 'bad' };

const SAID: Record<string, Inbound> = {
  h: act('it'),
  o: act('other'),
  u: act('nothing'),
  r: act('other', { type: 're' }),
  n: text('nonsense'),
  p: text({ type: 'ping' }),
};

const HEARD = {
  w: 'welcome',
  a: 'chat a',
  b: 'chat b',
  A: 'chat A',
  B: 'chat B',
  m: 'chat a + chat b',
  d: 'chat a + chat a',
  e: 'error invalid_json',
  p: 'pong',
  g: 'gap handler',
  G: 'gap subscription',
};

/** The batches of publications that a connection in the tea room is given to write. */
function publications(pod: Pod, id: string, inbound$: Observable<Inbound>): readonly Batch[] {
  const batches: Batch[] = [];
  connection(inbound$, READY, inRooms(pod, id, ['tea'])).subscribe((outbound) => {
    if (outbound.kind === 'batch' && outbound.publishedAtMs !== undefined) batches.push(outbound);
  });
  return batches;
}

describe('hear', () => {
  test('has what is said reach this connection through an operator, from then on, and no other connection', () => {
    marbles(({ hot, cold, expectObservable }, scheduler) => {
      const said = '    -ab--ab-';
      const e1 = hot('  ---h----', SAID);
      const unsub = '   --------!';
      const expected = 'wab---b-';
      const others = '  wab--ab-';

      const { broker, pod } = hearing(scheduler, { it: without('a') });
      saying(cold(said, CONTENTS), broker);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
      expectObservable(ask(NEVER, inRooms(pod, 'ben', ['tea'])), unsub).toBe(others, HEARD);
    });
  });

  test('again takes the place of what the same handler had', () => {
    marbles(({ hot, cold, expectObservable }, scheduler) => {
      const said = '    --ab--a-';
      const e1 = hot('  -h---o--', SAID);
      const unsub = '   --------!';
      const expected = 'w-AB--d-';

      const twice: OutboundTransform = mergeMap((envelope) => [envelope, envelope]);
      const { broker, pod } = hearing(scheduler, { it: shouted, other: twice });
      saying(cold(said, CONTENTS), broker);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
    });
  });

  test('of two handlers goes through both, in the order in which they first came', () => {
    marbles(({ hot, cold, expectObservable }, scheduler) => {
      const said = '    -ab--ab--ab-';
      const e1 = hot('  h--r----h---', SAID);
      const unsub = '   ------------!';
      const expected = 'wAB---B---B-';

      const { broker, pod } = hearing(scheduler, { it: shouted, other: without('A') });
      saying(cold(said, CONTENTS), broker);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
    });
  });

  test('undefined hears again what everybody hears, in frames that everybody shares', () => {
    marbles(({ hot, cold }, scheduler) => {
      const said = '-a--a--a-';
      const e1 = hot('--h--u---', SAID);

      const { broker, pod } = hearing(scheduler, { it: map((envelope) => envelope), nothing: undefined });
      saying(cold(said, CONTENTS), broker);
      const [ada, ben] = [publications(pod, 'ada', e1), publications(pod, 'ben', NEVER)];
      scheduler.maxFrames = 9;
      scheduler.flush();
      expect(ada.map(({ parts }, nth) => parts[0] === ben[nth]?.parts[0])).toEqual([true, false, true]);
      expect(ada.map(({ parts }) => String(parts))).toEqual(ben.map(({ parts }) => String(parts)));
      expect(ada.map(({ publishedAtMs }) => publishedAtMs)).toEqual(ben.map(({ publishedAtMs }) => publishedAtMs));
    });
  });

  test('leaves the server’s own word alone', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const e1 = hot('  -hnp----', SAID);
      const gap = '     -----x--';
      const unsub = '   --------!';
      const expected = 'w-ep-G--';

      const { broker, pod } = hearing(scheduler, { it: filter(() => false) });
      hot(gap).subscribe(() => {
        broker.events$.next({ kind: 'gap', sinceMs: 0 });
      });
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
    });
  });

  test('later than it was said comes by itself', () => {
    marbles(({ hot, cold, expectObservable }, scheduler) => {
      const said = '    --(ab)-----';
      const e1 = hot('  -h---------', SAID);
      const unsub = '   -----------!';
      const expected = 'w---(ab)---';

      const { broker, pod } = hearing(scheduler, { it: delay(2, scheduler) });
      saying(cold(said, CONTENTS), broker);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
    });
  });

  test('what was said in one turn is written as one batch', () => {
    marbles(({ hot, cold, expectObservable }, scheduler) => {
      const said = '    --(abx)----';
      const e1 = hot('  -h---------', SAID);
      const unsub = '   -----------!';
      const expected = 'w-m--------';

      const { broker, pod } = hearing(scheduler, { it: without('bad') });
      saying(cold(said, CONTENTS), broker);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
    });
  });

  test('ends with its connection', () => {
    marbles(({ hot, cold, expectObservable, expectSubscriptions }, scheduler) => {
      const said = '    --a--------';
      const e1 = hot('  -h---------', SAID);
      const unsub = '   -----!     ';
      const later = cold('----------');
      const subs = '    --^--!     ';
      const expected = 'w----------';

      const { broker, pod } = hearing(scheduler, { it: mergeMap(() => later.pipe(ignoreElements())) });
      saying(cold(said, CONTENTS), broker);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
      expectSubscriptions(later.subscriptions).toBe(subs);
    });
  });

  test('more than a full socket’s buffer takes ends as with any slow consumer', () => {
    marbles(({ hot, cold, expectObservable }, scheduler) => {
      const said = '    ---a-------';
      const e1 = hot('  -h---------', SAID);
      const expected = 'w--(s|)    ';

      const { broker, pod } = hearing(scheduler, { it: mergeMap((envelope) => Array.from({ length: 257 }, () => envelope)) });
      saying(cold(said, CONTENTS), broker);
      const actual$ = ask(e1, inRooms(pod, 'ada', ['tea']), rowConsumer(hot, '--f'));
      expectObservable(actual$).toBe(expected, { w: 'welcome', s: 'shut 4000' });
    });
  });
});

test('an operator that makes far too many messages of one is ended by the send buffer', () => {
  marbles(({ hot, cold, expectObservable, flush }, scheduler) => {
    const said = '    ---a-------';
    const e1 = hot('  -h---------', SAID);
    const expected = 'w--(s|)    ';

    let made = 0;
    const many: OutboundTransform = (heard$) =>
      heard$.pipe(
        switchMap((envelope) => range(0, 10_000).pipe(map(() => envelope))),
        tap(() => {
          made += 1;
        }),
      );
    const { broker, pod } = hearing(scheduler, { it: many });
    saying(cold(said, CONTENTS), broker);
    const actual$ = ask(e1, inRooms(pod, 'ada', ['tea']), rowConsumer(hot, '--f'));
    expectObservable(actual$).toBe(expected, { w: 'welcome', s: 'shut 4000' });
    flush();
    expect(made).toBe(257);
  });
});

/** A pod's log, of which a test reads the failures and warnings. */
function reading() {
  const lines: object[] = [];
  const note = (details: object | string) => {
    const given = typeof details === 'object' ? details : { details };
    lines.push('err' in given ? { ...given, err: String(given.err) } : given);
  };
  const log: Logger = { ...silentLogger, error: note, warn: note };
  return { lines, log };
}

describe('an operator that fails', () => {
  test('loses what it was at, which is told by a gap and logged, and begins anew: nothing passes by it', () => {
    marbles(({ hot, cold, expectObservable, flush }, scheduler) => {
      const said = '    --(axb)--a--x-';
      const e1 = hot('  -h------------', SAID);
      const unsub = '   --------------!';
      const expected = 'w-(mg)---a--g-';

      const { lines, log } = reading();
      const { broker, pod } = hearing(scheduler, { it: fragile }, { log });
      saying(cold(said, CONTENTS), broker);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
      flush();
      expect(lines).toEqual([{ err: 'Error: a bug', type: 'do', connection: 'ada' }]);
    });
  });

  test.each<{ when: string; operator: OutboundTransform }>([
    {
      when: 'when it is made',
      operator: () => {
        throw new Error('a bug');
      },
    },
    { when: 'when it is subscribed to', operator: () => throwError(() => new Error('a bug')) },
    { when: 'by being none', operator: () => undefined as unknown as Observable<Envelope> },
    { when: 'by what cannot be written', operator: map((envelope) => ({ ...envelope, data: 1n })) },
    { when: 'by what is too large', operator: map((envelope) => changed(envelope, (said) => said.repeat(70_000))) },
  ])('$when is told in the same way', ({ operator }) => {
    marbles(({ hot, cold, expectObservable }, scheduler) => {
      const said = '    --ab--';
      const e1 = hot('  -h----', SAID);
      const unsub = '   ------!';
      const expected = 'w-gg--';

      const { broker, pod } = hearing(scheduler, { it: operator });
      saying(cold(said, CONTENTS), broker);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
    });
  });

  test('later than the message is told since the first that it may have held back', () => {
    marbles(({ hot, cold, expectObservable }, scheduler) => {
      const said = '    --ax------';
      const e1 = hot('  -h--------', SAID);
      const unsub = '   ----------!';
      const expected = '----bg----';

      const { broker, pod } = hearing(scheduler, { it: (heard$) => heard$.pipe(delay(2, scheduler), fragile) });
      const seconds = { a: '1970-01-01T00:00:07.000Z', x: '1970-01-01T00:00:08.000Z' };
      cold<'a' | 'x'>(said, { a: 'a', x: 'x' }).subscribe((each) => {
        broker.deliver('tea', CONTENTS[each], seconds[each]);
      });
      const told$ = connection(e1, READY, inRooms(pod, 'ada', ['tea'])).pipe(
        mergeMap((outbound) => readable(outbound) as (Envelope & { data: { since?: string } })[]),
        filter(({ type, data }) => type === 'chat' || data.since !== undefined),
        map(({ data }) => data.since ?? 'chat'),
      );
      expectObservable(told$, unsub).toBe(expected, { b: 'chat', g: seconds.a });
    });
  });

  test.each<{ what: string; first: OutboundTransform; expected: string }>([
    { what: 'no envelope', first: map(() => null as unknown as Envelope), expected: 'w--g----' },
    { what: 'one of no time', first: map((envelope) => ({ ...envelope, timestamp: 'yesterday' })), expected: 'w----g--' },
  ])('is told too where it was given $what by the one before it', ({ first, expected }) => {
    marbles(({ hot, cold, expectObservable }, scheduler) => {
      const said = '    ---a----';
      const e1 = hot('  -hr-----', SAID);
      const unsub = '   --------!';

      const late: OutboundTransform = (heard$) =>
        heard$.pipe(
          delay(2, scheduler),
          mergeMap(() => throwError(() => new Error('late'))),
        );
      const { broker, pod } = hearing(scheduler, { it: first, other: late });
      saying(cold(said, CONTENTS), broker);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
    });
  });

  test('in its teardown is reported, and keeps nothing else from its end', () => {
    marbles(({ hot, cold, expectObservable, flush }, scheduler) => {
      const said = '    --a-x---b-';
      const e1 = hot('  -h----r---', SAID);
      const unsub = '   ----------!';
      const expected = 'w-a-g---b-';

      const { lines, log } = reading();
      const spoiled: OutboundTransform = (heard$) =>
        heard$.pipe(
          fragile,
          finalize(() => {
            throw new Error('in teardown');
          }),
        );
      const { broker, pod } = hearing(scheduler, { it: spoiled, other: spoiled }, { log });
      saying(cold(said, CONTENTS), broker);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
      flush();
      expect(pod.hub.memberCount('tea')).toBe(0);
      expect(lines).toMatchObject([
        { err: 'Error: a bug', type: 'do' },
        { err: expect.stringContaining('in teardown'), type: 're' },
      ]);
    });
  });

  test('by completing is done: nothing more is heard through it, which is logged', () => {
    marbles(({ hot, cold, expectObservable, flush }, scheduler) => {
      const said = '    --ab-a---a-';
      const e1 = hot('  -h-----u---', SAID);
      const unsub = '   -----------!';
      const expected = 'w-a------a-';

      const { lines, log } = reading();
      const { broker, pod } = hearing(scheduler, { it: take(1), nothing: undefined }, { log });
      saying(cold(said, CONTENTS), broker);
      expectObservable(ask(e1, inRooms(pod, 'ada', ['tea'])), unsub).toBe(expected, HEARD);
      flush();
      expect(lines).toEqual([{ type: 'do', connection: 'ada' }]);
    });
  });
});
