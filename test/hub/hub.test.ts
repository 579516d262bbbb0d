import { describe, expect, test } from '@jest/globals';
import { NEVER, Subject, concat, map, of, tap, throwError, timer, type Observable } from 'rxjs';
import type { RunHelpers, TestScheduler } from 'rxjs/testing';
import { RoomRefusedError, type Broker, type BrokerEvent } from '../../src/broker/broker.js';
import type { Batch } from '../../src/hub/frame.js';
import { Hub, type HubOptions, type MembershipEvent } from '../../src/hub/hub.js';
import type { MemberEvent, MembershipChange } from '../../src/hub/room.js';
import { silentLogger } from '../../src/runtime/log.js';
import { noMetrics } from '../../src/runtime/metrics.js';
import { GLOBAL_ROOM } from '../../src/protocol/protocol.js';
import type { Publication } from '../../src/broker/broker.js';
import { brief } from '../support/brief.js';
import { marbles, virtualRuntime } from '../support/marbles.js';
import { readable } from '../support/pod.js';

const LINGER_MS = 1000;
const MAX_BYTES = 1000;

/** What a test's broker does. */
interface Script {
  readonly events$?: Observable<BrokerEvent>;
  /** The confirmations of a room's subscription; rooms that are not named are confirmed at once. */
  readonly rooms?: Readonly<Record<string, Observable<boolean>>>;
}

const atOnce$ = concat(of(true), NEVER);

function scripted({ events$ = NEVER, rooms = {} }: Script): Broker {
  return { events$, status$: NEVER, subscribe: (room) => rooms[room] ?? atOnce$, publish: () => NEVER };
}

function createHub(scheduler: TestScheduler, script: Script, parts: Partial<HubOptions> = {}): Hub {
  return new Hub({
    broker: scripted(script),
    runtime: virtualRuntime(scheduler),
    metrics: noMetrics,
    log: silentLogger,
    maxPublicationBytes: MAX_BYTES,
    lingerMs: LINGER_MS,
    maxRooms: 1000,
    ...parts,
  });
}

function said(room: string, content: string, timestamp = '1970-01-01T00:00:00.000Z'): Publication {
  const place = room === GLOBAL_ROOM ? {} : { room };
  const envelope = { id: 'x', type: 'chat', ...place, from: 'someone', data: { content }, timestamp };
  return { kind: 'publication', room, payload: Buffer.from(JSON.stringify(envelope)) };
}

function invalid(room: string): Publication {
  return { kind: 'publication', room, payload: Buffer.from('secret words that are no envelope') };
}

const everywhere: BrokerEvent = { kind: 'gap', sinceMs: 0 };

function gapIn(...rooms: readonly string[]): BrokerEvent {
  return { kind: 'gap', rooms: new Set(rooms), sinceMs: 0 };
}

function join(...rooms: readonly string[]): MembershipChange {
  return { kind: 'join', rooms };
}

function leave(...rooms: readonly string[]): MembershipChange {
  return { kind: 'leave', rooms };
}

/** Wants to be in rooms from its first moment on. */
function staying(...rooms: readonly string[]): Observable<MembershipChange> {
  return concat(of(join(...rooms)), NEVER);
}

/** A member's event, short enough for a row of marbles: `joined a b`, `left a`, `chat hi + chat ho`. */
function short(event: MemberEvent): string {
  return event.kind === 'batch' ? brief(event) : [event.kind, ...event.rooms].join(' ');
}

/** What a member receives, as a row of marbles. */
function row(hub: Hub, clientId: string, change$: Observable<MembershipChange>): Observable<string> {
  return hub.member$(clientId, change$).pipe(map(short));
}

/** The batches that a member receives, collected. */
function batchesOf(hub: Hub, clientId: string, change$: Observable<MembershipChange>): readonly Batch[] {
  const batches: Batch[] = [];
  hub.member$(clientId, change$).subscribe((event) => {
    if (event.kind === 'batch') batches.push(event);
  });
  return batches;
}

describe('a room’s subscription at the broker', () => {
  test('begins with the first member, is shared, and ends a second after the last', () => {
    marbles(({ cold, hot, expectObservable, expectSubscriptions }, scheduler) => {
      const a$ = cold('t', { t: true });
      const hub = createHub(scheduler, { rooms: { a: a$ } });
      const [j, J] = ['joined a', 'joined a'];
      expectObservable(row(hub, 'ada', hot('10ms j', { j: join('a') })), '30ms !').toBe('10ms j', { j });
      expectObservable(row(hub, 'ben', hot('20ms j', { j: join('a') })), '50ms !').toBe('20ms J', { J });
      expectSubscriptions(a$.subscriptions).toBe('10ms ^ 1039ms !');
    });
  });

  test('ends a second after the last member said that it leaves', () => {
    marbles(({ cold, hot, expectObservable, expectSubscriptions }, scheduler) => {
      const a$ = cold('t', { t: true });
      const hub = createHub(scheduler, { rooms: { a: a$ } });
      const change$ = hot('j 49ms l', { j: join('a'), l: leave('a') });
      expectObservable(row(hub, 'ada', change$)).toBe('j 49ms l', { j: 'joined a', l: 'left a' });
      expectSubscriptions(a$.subscriptions).toBe('^ 1049ms !');
    });
  });

  test('is kept where somebody comes back within that second', () => {
    marbles(({ cold, hot, expectObservable, expectSubscriptions }, scheduler) => {
      const a$ = cold('t', { t: true });
      const hub = createHub(scheduler, { rooms: { a: a$ } });
      expectObservable(row(hub, 'ada', staying('a')), '^ 29ms !').toBe('j', { j: 'joined a' });
      expectObservable(row(hub, 'ada', hot('1029ms j', { j: join('a') })), '1100ms !').toBe('1029ms j', { j: 'joined a' });
      expectSubscriptions(a$.subscriptions).toBe('^ 2099ms !');
    });
  });

  test('is made anew for who comes back later', () => {
    marbles(({ cold, hot, expectObservable, expectSubscriptions }, scheduler) => {
      const a$ = cold('t', { t: true });
      const hub = createHub(scheduler, { rooms: { a: a$ } });
      expectObservable(row(hub, 'ada', staying('a')), '^ 29ms !').toBe('j', { j: 'joined a' });
      expectObservable(row(hub, 'ada', hot('1031ms j', { j: join('a') })), '1100ms !').toBe('1031ms j', { j: 'joined a' });
      expectSubscriptions(a$.subscriptions).toBe(['^ 1029ms !', '1031ms ^ 1068ms !']);
    });
  });

  test('is given up too where the only member went before it was confirmed', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const a$ = cold<boolean>('-');
      const hub = createHub(scheduler, { rooms: { a: a$ } });
      expectObservable(row(hub, 'ada', staying('a')), '^ 29ms !').toBe('');
      expectSubscriptions(a$.subscriptions).toBe('^ 1029ms !');
    });
  });

  test('is there for the global room from the start, members or not', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const global$ = cold('t', { t: true });
      const hub = createHub(scheduler, { rooms: { [GLOBAL_ROOM]: global$ } });
      expectObservable(row(hub, 'ada', staying(GLOBAL_ROOM)), '^ 29ms !').toBe('j', { j: 'joined ' });
      expectSubscriptions(global$.subscriptions).toBe('^');
    });
  });

  test('ends at once when the hub closes, as do the events of the broker', () => {
    marbles(({ cold, hot, expectObservable, expectSubscriptions }, scheduler) => {
      const [global$, a$] = [cold('t', { t: true }), cold('t', { t: true })];
      const events$ = hot<BrokerEvent>('-');
      const hub = createHub(scheduler, { events$, rooms: { [GLOBAL_ROOM]: global$, a: a$ } });
      scheduler.schedule(() => {
        hub.close();
      }, 50);
      expectObservable(row(hub, 'ada', staying('a'))).toBe('j', { j: 'joined a' });
      expectObservable(hub.membership$).toBe('o 49ms |', { o: expect.anything() });
      for (const each$ of [global$, a$, events$]) expectSubscriptions(each$.subscriptions).toBe('^ 49ms !');
    });
  });
});

describe('joining', () => {
  test('has happened when the last of the rooms is confirmed, and is told once for all of them', () => {
    marbles(({ cold, expectObservable }, scheduler) => {
      const rooms = { a: cold('---t', { t: true }), b: cold('-------t', { t: true }) };
      const hub = createHub(scheduler, { rooms });
      expectObservable(row(hub, 'ada', staying(GLOBAL_ROOM, 'a', 'b'))).toBe('-------j', { j: 'joined  a b' });
    });
  });

  test('brings nothing that was said before it, even in a room that was confirmed already', () => {
    marbles(({ cold, hot, expectObservable }, scheduler) => {
      const events$ = hot<BrokerEvent>('x----x--x', { x: said('a', 'hi') });
      const rooms = { a: cold('---t', { t: true }), b: cold('-------t', { t: true }) };
      const hub = createHub(scheduler, { events$, rooms });
      expectObservable(row(hub, 'ada', staying('a', 'b'))).toBe('-------jx', { j: 'joined a b', x: 'chat hi' });
    });
  });

  test('waits for a confirmation that was lost again before the others came', () => {
    marbles(({ cold, expectObservable }, scheduler) => {
      const rooms = { a: cold('-t-f-----t', { t: true, f: false }), b: cold('-----t', { t: true }) };
      const hub = createHub(scheduler, { rooms });
      expectObservable(row(hub, 'ada', staying('a', 'b'))).toBe('---------j', { j: 'joined a b' });
    });
  });

  test('happens at once in a room that others are in', () => {
    marbles(({ cold, hot, expectObservable }, scheduler) => {
      const hub = createHub(scheduler, { rooms: { a: cold('---t', { t: true }) } });
      expectObservable(row(hub, 'ada', staying('a'))).toBe('---j', { j: 'joined a' });
      expectObservable(row(hub, 'ben', hot('-----j', { j: join('a') }))).toBe('-----j', { j: 'joined a' });
    });
  });

  test('a lost confirmation puts no member out, and its return tells nobody again; who comes meanwhile waits', () => {
    marbles(({ cold, hot, expectObservable }, scheduler) => {
      const events$ = hot<BrokerEvent>('---------x', { x: said('a', 'hi') });
      const hub = createHub(scheduler, { events$, rooms: { a: cold('t--f---t', { t: true, f: false }) } });
      expectObservable(row(hub, 'ada', staying('a'))).toBe('j--------x', { j: 'joined a', x: 'chat hi' });
      expectObservable(row(hub, 'ben', hot('-----j', { j: join('a') }))).toBe('-------j-x', { j: 'joined a', x: 'chat hi' });
    });
  });

  test('a room that one is in already changes nothing but that it is told', () => {
    marbles(({ hot, expectObservable, expectSubscriptions, cold }, scheduler) => {
      const a$ = cold('t', { t: true });
      const events$ = hot<BrokerEvent>('------x', { x: said('a', 'hi') });
      const hub = createHub(scheduler, { events$, rooms: { a: a$ } });
      const change$ = hot('--j-j----l', { j: join('a'), l: leave('a') });
      expectObservable(row(hub, 'ada', change$)).toBe('--j-j-x--l', { j: 'joined a', x: 'chat hi', l: 'left a' });
      expectSubscriptions(a$.subscriptions).toBe('--^ 1006ms !');
    });
  });

  test('can be taken back by leaving before it is confirmed', () => {
    marbles(({ cold, hot, expectObservable }, scheduler) => {
      const events$ = hot<BrokerEvent>('---------x', { x: said('a', 'hi') });
      const hub = createHub(scheduler, { events$, rooms: { a: cold('-----t', { t: true }) } });
      expectObservable(row(hub, 'ada', hot('j--l', { j: join('a'), l: leave('a') }))).toBe('---l', { l: 'left a' });
    });
  });

  test('that left a room on its way and wants to be in it again waits for it once', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const hub = createHub(scheduler, { rooms: { a: hot('---------c', { c: true }) } });
      const change$ = hot('jljljlj---', { j: join('a'), l: leave('a') });
      expectObservable(row(hub, 'ada', change$)).toBe('-l-l-l---j', { j: 'joined a', l: 'left a' });
    });
  });
});

describe('leaving', () => {
  test('a room is the end of what is said there, and of nothing else', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const values = { a: said('a', 'in a'), b: said('b', 'in b'), g: said(GLOBAL_ROOM, 'to all') };
      const hub = createHub(scheduler, { events$: hot<BrokerEvent>('-a-----a-b-g', values) });
      const change$ = hot('j----l', { j: join(GLOBAL_ROOM, 'a', 'b'), l: leave('a') });
      expectObservable(row(hub, 'ada', change$)).toBe('jx---l---y-z', {
        ...{ j: 'joined  a b', l: 'left a' },
        ...{ x: 'chat in a', y: 'chat in b', z: 'chat to all' },
      });
    });
  });

  test('stops what came in the same turn before it', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const hub = createHub(scheduler, { events$: hot<BrokerEvent>('---x', { x: said('a', 'hi') }) });
      const change$ = hot('j--l', { j: join('a'), l: leave('a') });
      expectObservable(row(hub, 'ada', change$)).toBe('j--l', { j: 'joined a', l: 'left a' });
      expectObservable(row(hub, 'ben', staying('a'))).toBe('j--x', { j: 'joined a', x: 'chat hi' });
    });
  });

  test('by ending leaves every room', () => {
    marbles(({ cold, hot, flush }, scheduler) => {
      const hub = createHub(scheduler, { rooms: { c: cold<boolean>('-') } });
      const subscription = hub
        .member$('ada', concat(hot('(jk|)', { j: join(GLOBAL_ROOM, 'a', 'b'), k: join('c') }), NEVER))
        .subscribe();
      const counts = () => [GLOBAL_ROOM, 'a', 'b', 'c', 'd'].map((room) => hub.memberCount(room));
      flush();
      expect(counts()).toEqual([1, 1, 1, 0, 0]);
      subscription.unsubscribe();
      expect(counts()).toEqual([0, 0, 0, 0, 0]);
    });
  });
});

describe('what is said', () => {
  test('in one turn comes as one batch, in order; in two turns, as two', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const values = { x: said('a', 'one'), y: said('a', 'two'), z: said('a', 'three') };
      const hub = createHub(scheduler, { events$: hot<BrokerEvent>('--(xyz)-x', values) });
      const expected = { j: 'joined a', b: 'chat one + chat two + chat three', c: 'chat one' };
      expectObservable(row(hub, 'ada', staying('a'))).toBe('j-b-----c', expected);
    });
  });

  test('reaches all members of a room as the very same bytes', () => {
    const all: (readonly Batch[])[] = [];
    marbles(({ hot }, scheduler) => {
      const hub = createHub(scheduler, { events$: hot<BrokerEvent>('--(xy)', { x: said('a', 'one'), y: said('a', 'two') }) });
      for (const id of ['ada', 'ben', 'cat']) all.push(batchesOf(hub, id, staying('a')));
    });
    const [first, ...others] = all.map((batches) => batches.flatMap(({ parts }) => parts));
    expect(first).toHaveLength(1);
    for (const parts of others) {
      expect(parts).toHaveLength(1);
      expect(parts[0]).toBe(first?.[0]);
    }
  });

  test('in several rooms of one member in one turn comes as one batch of each room’s very own bytes', () => {
    const all: (readonly Batch[])[] = [];
    marbles(({ hot }, scheduler) => {
      const values = { x: said('a', 'x'), y: said('b', 'y'), z: said('a', 'z') };
      const hub = createHub(scheduler, { events$: hot<BrokerEvent>('--(xyz)', values) });
      for (const rooms of [['a', 'b'], ['a'], ['b'], ['b', 'a']]) all.push(batchesOf(hub, rooms.join(), staying(...rooms)));
    });
    expect(all.map((batches) => batches.map(brief))).toEqual([
      ['chat x + chat z + chat y'],
      ['chat x + chat z'],
      ['chat y'],
      ['chat x + chat z + chat y'],
    ]);
    const [both, a, b, turned] = all.map((batches) => batches.flatMap(({ parts }) => parts));
    for (const parts of [both, turned]) {
      expect(parts).toHaveLength(2);
      expect(parts?.[0]).toBe(a?.[0]);
      expect(parts?.[1]).toBe(b?.[0]);
    }
    const [inBoth = [], inA = [], inB = []] = all;
    const count = (batches: readonly Batch[]) => batches.map(({ messages, bytes }) => [messages, bytes]).flat();
    expect(count(inBoth)).toEqual(count(inA).map((counted, n) => counted + (count(inB)[n] ?? NaN)));
  });

  test('in several rooms of one member turn after turn comes once', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const values = { x: said('a', 'x'), y: said('b', 'y') };
      const hub = createHub(scheduler, { events$: hot<BrokerEvent>('--(xy)-(yx)', values) });
      const expected = { j: 'joined a b', b: 'chat x + chat y', c: 'chat y + chat x' };
      expectObservable(row(hub, 'ada', staying('a', 'b'))).toBe('j-b----c', expected);
    });
  });

  test('in a room is heard there alone, and what is said to all by all', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const values = { x: said('a', 'x'), y: said('b', 'y'), z: said('c', 'z'), g: said(GLOBAL_ROOM, 'g') };
      const hub = createHub(scheduler, { events$: hot<BrokerEvent>('-x-y-z-g-(xg)', values) });
      const chats = { x: 'chat x', y: 'chat y', g: 'chat g', h: 'chat x + chat g' };
      expectObservable(row(hub, 'ada', staying(GLOBAL_ROOM, 'a'))).toBe('jx-----g-h', { ...chats, j: 'joined  a' });
      expectObservable(row(hub, 'ben', staying(GLOBAL_ROOM, 'b'))).toBe('j--y---g-g', { ...chats, j: 'joined  b' });
      expectObservable(row(hub, 'cat', staying(GLOBAL_ROOM))).toBe('j------g-g', { ...chats, j: 'joined ' });
    });
  });

  test('by nobody yet: who has not asked for anything gets nothing', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const hub = createHub(scheduler, { events$: hot<BrokerEvent>('-g', { g: said(GLOBAL_ROOM, 'hi') }) });
      expectObservable(row(hub, 'ada', NEVER)).toBe('');
    });
  });

  test('in one turn bears the earliest of its times, in the next turn that one’s', () => {
    let batches: readonly Batch[] = [];
    marbles(({ hot }, scheduler) => {
      const at = (ms: number) => said('a', 'hi', new Date(ms).toISOString());
      const hub = createHub(scheduler, { events$: hot<BrokerEvent>('--(xyz)-z', { x: at(300), y: at(100), z: at(200) }) });
      batches = batchesOf(hub, 'ada', staying('a'));
    });
    expect(batches.map(({ publishedAtMs }) => publishedAtMs)).toEqual([100, 200]);
  });
});

describe('a gap', () => {
  test('everywhere reaches each member once, whatever its rooms', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const hub = createHub(scheduler, { events$: hot<BrokerEvent>('--g', { g: everywhere }) });
      const g = 'gap subscription';
      expectObservable(row(hub, 'ada', staying(GLOBAL_ROOM, 'a', 'b'))).toBe('j-g', { j: 'joined  a b', g });
      expectObservable(row(hub, 'ben', staying(GLOBAL_ROOM))).toBe('j-g', { j: 'joined ', g });
    });
  });

  test('in some rooms reaches the members of those, each once, and nobody else', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const hub = createHub(scheduler, { events$: hot<BrokerEvent>('--g', { g: gapIn('a', 'b', 'nobody is here') }) });
      const g = 'gap subscription';
      expectObservable(row(hub, 'ada', staying(GLOBAL_ROOM, 'a', 'b'))).toBe('j-g', { j: 'joined  a b', g });
      expectObservable(row(hub, 'ben', staying(GLOBAL_ROOM, 'b', 'c'))).toBe('j-g', { j: 'joined  b c', g });
      expectObservable(row(hub, 'cat', staying(GLOBAL_ROOM, 'c'))).toBe('j--', { j: 'joined  c' });
    });
  });

  test.each<[where: string, gap: BrokerEvent]>([
    ['everywhere', everywhere],
    ['in a room', gapIn('a')],
  ])('%s stands behind what came before it in the turn and before what came after', (_, gap) => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const values = { x: said('a', 'x'), y: said('b', 'y'), z: said('a', 'z'), g: gap };
      const hub = createHub(scheduler, { events$: hot<BrokerEvent>('-----(xygz)', values) });
      const expected = { j: 'joined  a b', b: 'chat x + chat y', g: 'gap subscription', c: 'chat z' };
      expectObservable(row(hub, 'ada', staying(GLOBAL_ROOM, 'a', 'b'))).toBe('j----(bgc)', expected);
    });
  });

  test('reaches nobody who has not joined yet', () => {
    marbles(({ cold, hot, expectObservable }, scheduler) => {
      const hub = createHub(scheduler, {
        events$: hot<BrokerEvent>('--g', { g: everywhere }),
        rooms: { a: cold('----t', { t: true }) },
      });
      expectObservable(row(hub, 'ada', staying(GLOBAL_ROOM, 'a'))).toBe('----j', { j: 'joined  a' });
    });
  });

  test('reaches nobody who joins after it in the same turn', () => {
    marbles(({ cold, hot, expectObservable }, scheduler) => {
      const hub = createHub(scheduler, {
        events$: hot<BrokerEvent>('----g', { g: everywhere }),
        rooms: { a: cold('----t', { t: true }) },
      });
      expectObservable(row(hub, 'ada', staying(GLOBAL_ROOM, 'a'))).toBe('----j', { j: 'joined  a' });
    });
  });

  test('tells since when, comes from the server, and is never dropped', () => {
    let batches: readonly Batch[] = [];
    marbles(({ hot }, scheduler) => {
      const hub = createHub(scheduler, { events$: hot<BrokerEvent>('2s g', { g: { kind: 'gap', sinceMs: 1500 } }) });
      batches = batchesOf(hub, 'ada', staying(GLOBAL_ROOM));
    });
    expect(batches.flatMap((batch) => readable(batch))).toEqual([
      {
        id: expect.any(String),
        type: 'system',
        from: 'server',
        data: { event: 'gap', reason: 'subscription', since: '1970-01-01T00:00:01.500Z' },
        timestamp: '1970-01-01T00:00:02.000Z',
      },
    ]);
    expect(batches[0]?.publishedAtMs).toBeUndefined();
  });
});

describe('an invalid publication', () => {
  /** Runs a hub with one member in rooms a and b; tells how often was counted and what was logged. */
  function complaints(events: string) {
    const logged: unknown[][] = [];
    let counted = 0;
    const heard: string[] = [];
    marbles(({ hot }, scheduler) => {
      const values = { a: invalid('a'), b: invalid('b'), v: said('a', 'valid'), l: said('a', 'x'.repeat(MAX_BYTES)) };
      const parts = {
        metrics: { ...noMetrics, brokerInvalid: () => void (counted += 1) },
        log: Object.assign(Object.create(silentLogger) as typeof silentLogger, {
          warn: (...given: unknown[]) => void logged.push([scheduler.now(), ...given]),
        }),
      };
      const hub = createHub(scheduler, { events$: hot<BrokerEvent>(events, values) }, parts);
      row(hub, 'ada', staying('a', 'b')).subscribe((event) => heard.push(event));
    });
    return { counted, logged, heard };
  }

  const about = (atMs: number, room: string, unlogged?: number) => [
    atMs,
    { room, reason: expect.any(String), ...(unlogged !== undefined && { unlogged }) },
    expect.any(String),
  ];

  test('is dropped and counted, and those around it are delivered', () => {
    const { counted, heard } = complaints('-(vav)');
    expect(counted).toBe(1);
    expect(heard).toEqual(['joined a b', 'chat valid + chat valid']);
  });

  test('leaves no empty batch behind', () => {
    expect(complaints('-(aa)').heard).toEqual(['joined a b']);
  });

  test('may be one that is too large, of which its room is told by a gap', () => {
    const { counted, heard } = complaints('-l');
    expect([counted, heard]).toEqual([1, ['joined a b', 'gap too_large']]);
  });

  test('that is too large is told where it would have come, once to each connection', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const values = {
        a: said('a', 'before'),
        A: said('b', 'beside'),
        l: said('a', 'x'.repeat(MAX_BYTES)),
        b: said('a', 'after'),
      };
      const hub = createHub(scheduler, { events$: hot<BrokerEvent>('-(aAlb)', values) });
      const [j, J, K] = ['joined a b', 'joined a', 'joined b'];
      const [g, x, y, z] = ['gap too_large', 'chat before + chat beside', 'chat after', 'chat beside'];
      expectObservable(row(hub, 'ada', staying('a', 'b')), '9ms !').toBe('j(xgy)', { j, x, g, y });
      expectObservable(row(hub, 'ben', staying('a')), '9ms !').toBe('J(xgy)', { J, x: 'chat before', g, y });
      expectObservable(row(hub, 'cat', staying('b')), '9ms !').toBe('Kz', { K, z });
    });
  });

  test('that is wrong in another way too is told to nobody, however large', () => {
    const huge: Publication = { kind: 'publication', room: 'a', payload: Buffer.alloc(MAX_BYTES + 1, 'x') };
    marbles(({ hot, expectObservable }, scheduler) => {
      const hub = createHub(scheduler, { events$: hot<BrokerEvent>('-h', { h: huge }) });
      expectObservable(row(hub, 'ada', staying('a')), '9ms !').toBe('j', { j: 'joined a' });
    });
  });

  test('is counted each time and logged once per room and minute', () => {
    const { counted, logged } = complaints('-(aab) 59994ms aa 59998ms aa');
    expect(counted).toBe(7);
    expect(logged).toEqual([about(1, 'a'), about(1, 'b'), about(60_001, 'a', 2), about(120_001, 'a', 1)]);
  });

  test('is logged without a word of what it says', () => {
    expect(JSON.stringify(complaints('-a').logged)).not.toContain('secret');
  });
});

describe('a room that the broker refuses', () => {
  const refusal = new RoomRefusedError('no permission');

  test('is told to those who are in it and to those who wait, and to nobody else', () => {
    marbles(({ cold, hot, expectObservable, expectSubscriptions }, scheduler) => {
      const a$ = cold('t-f--#', { t: true, f: false }, refusal);
      const logged: unknown[] = [];
      const log = Object.assign(Object.create(silentLogger) as typeof silentLogger, {
        debug: ({ room }: { room: string }) => void logged.push(room),
      });
      const hub = createHub(scheduler, { rooms: { a: a$ } }, { log });
      const [j, r] = ['joined a', 'refused a'];
      expectObservable(row(hub, 'ada', staying('a')), '9ms !').toBe('j----r', { j, r });
      expectObservable(row(hub, 'ben', hot('---j', { j: join('a') })), '9ms !').toBe('-----r', { r });
      expectObservable(row(hub, 'cat', staying('b')), '9ms !').toBe('j', { j: 'joined b' });
      expectSubscriptions(a$.subscriptions).toBe('^----!');
      timer(8, scheduler).subscribe(() => {
        expect([hub.memberCount('a'), hub.memberCount('b'), logged]).toEqual([0, 1, ['a']]);
      });
    });
  });

  test('is asked for again by who comes later', () => {
    marbles(({ cold, hot, expectObservable, expectSubscriptions }, scheduler) => {
      const a$ = cold<boolean>('--#', {}, refusal);
      const hub = createHub(scheduler, { rooms: { a: a$ } });
      expectObservable(row(hub, 'ada', staying('a')), '9ms !').toBe('--r', { r: 'refused a' });
      expectObservable(row(hub, 'ben', hot('-----j', { j: join('a') })), '9ms !').toBe('-------r', { r: 'refused a' });
      expectSubscriptions(a$.subscriptions).toBe(['^-!', '-----^-!']);
    });
  });

  test('within the call that asks for it costs the others that were asked for with it nothing', () => {
    marbles(({ expectObservable }, scheduler) => {
      const hub = createHub(scheduler, { rooms: { a: throwError(() => refusal) } });
      expectObservable(row(hub, 'ada', staying('a', 'b')), '9ms !').toBe('(rj)', { r: 'refused a', j: 'joined b' });
      timer(5, scheduler).subscribe(() => {
        expect(hub.memberCount('b')).toBe(1);
      });
    });
  });

  test('is told offline to who watches the members, and leaves no linger', () => {
    marbles(({ cold, flush }, scheduler) => {
      const hub = createHub(scheduler, { rooms: { a: cold('t-#', { t: true }, refusal) } });
      const told: string[] = [];
      hub.membership$.subscribe(({ kind, room, members }) => told.push(`${kind} ${room} ${members}`));
      row(hub, 'ada', staying('a')).subscribe();
      flush();
      expect(told).toEqual(['online a 1', 'offline a 1']);
      expect(scheduler.actions).toEqual([]);
    });
  });
});

describe('the rooms that a pod may hear', () => {
  test('are counted without the global one, those that linger, and those that somebody is in already', () => {
    marbles(({ hot, flush }, scheduler) => {
      const hub = createHub(scheduler, {}, { maxRooms: 2 });
      const may: unknown[] = [];
      const look = (...rooms: readonly string[]) => may.push([rooms.join(' '), hub.hasPlaceFor(rooms)]);
      row(hub, 'ada', hot('j-l', { j: join('a', 'b'), l: leave('a') })).subscribe();
      timer(1, scheduler).subscribe(() => {
        look('a', 'b');
        look('c');
        look();
      });
      timer(5, scheduler).subscribe(() => {
        look('c');
        look('a');
        look('c', 'a');
        look('c', 'b');
      });
      flush();
      expect(may).toEqual([
        ['a b', true],
        ['c', false],
        ['', true],
        ['c', true],
        ['a', true],
        ['c a', false],
        ['c b', true],
      ]);
    });
  });

  test('include those that linger no longer than until another needs the place, the longest left first', () => {
    marbles(({ cold, hot, expectObservable, expectSubscriptions }, scheduler) => {
      const [a$, b$, c$] = [1, 2, 3].map(() => cold('t', { t: true }));
      if (!a$ || !b$ || !c$) throw new Error('three rooms');
      const hub = createHub(scheduler, { rooms: { a: a$, b: b$, c: c$ } }, { maxRooms: 2 });
      const values = { j: join('a', 'b'), a: leave('a'), b: leave('b'), c: join('c') };
      const heard = { j: 'joined a b', a: 'left a', b: 'left b', c: 'joined c' };
      expectObservable(row(hub, 'ada', hot('jab--c', values)), '9ms !').toBe('jab--c', heard);
      expectSubscriptions(a$.subscriptions).toBe('^----!');
      expectSubscriptions(b$.subscriptions).toBe('^ 1001ms !');
      expectSubscriptions(c$.subscriptions).toBe('-----^ 1003ms !');
    });
  });
});

describe('a room that lingers', () => {
  test('is not ended to make room for another that is joined together with it', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const hub = createHub(scheduler, {}, { maxRooms: 2 });
      row(hub, 'ada', hot('(jl)', { j: join('a', 'b'), l: leave('a', 'b') })).subscribe();
      expectObservable(row(hub, 'ben', hot('-----j', { j: join('a', 'c') })), '9ms !').toBe('-----j', { j: 'joined a c' });
    });
  });
});

describe('metrics', () => {
  function measured(run: (helpers: RunHelpers, hub: (script: Script) => Hub, log: string[]) => void): readonly string[] {
    const log: string[] = [];
    marbles((helpers, scheduler) => {
      const metrics = {
        ...noMetrics,
        rooms: (change: number) => void log.push(`rooms ${change}`),
        deliveryLag: (seconds: number) => void log.push(`lag ${seconds}`),
      };
      run(helpers, (script) => createHub(scheduler, script, { metrics }), log);
    });
    return log;
  }

  test('a room counts from its first member to its last, not from its subscription; the global one never', () => {
    const log = measured(({ hot, cold, expectObservable }, hubOf) => {
      const hub = hubOf({ rooms: { a: cold('-t', { t: true }), b: cold<boolean>('-') } });
      for (const id of ['ada', 'ben'])
        expectObservable(row(hub, id, staying(GLOBAL_ROOM, 'a')), '^--!').toBe('-j', { j: 'joined  a' });
      expectObservable(row(hub, 'cat', hot('j', { j: join('b') })), '^--!').toBe('');
    });
    expect(log).toEqual(['rooms 1', 'rooms -1']);
  });

  test('the delivery’s lag is measured from the envelope’s timestamp, for rooms with members', () => {
    const log = measured(({ hot }, hubOf) => {
      const values = { x: said('a', 'x', '1970-01-01T00:00:01.500Z'), y: said('b', 'y') };
      const hub = hubOf({ events$: hot<BrokerEvent>('2s (xyx)', values) });
      row(hub, 'ada', staying('a')).subscribe();
      // Its room lingers, without a member.
      row(hub, 'ben', hot<MembershipChange>('1998ms j l', { j: join('b'), l: leave('b') })).subscribe();
    });
    expect(log).toEqual(['rooms 1', 'rooms 1', 'rooms -1', 'lag 0.5', 'lag 0.5']);
  });
});

describe('who comes and goes', () => {
  /** All that members and the hub told, in order. */
  function told(scheduler: TestScheduler, parts: Script = {}) {
    const hub = createHub(scheduler, parts);
    const log: string[] = [];
    hub.membership$.subscribe(({ kind, room, clientId, members }: MembershipEvent) => {
      log.push(`${clientId} ${kind} in ${room}, of ${members}`);
    });
    const watched = (id: string, change$: Observable<MembershipChange>) =>
      row(hub, id, change$).pipe(tap((event) => log.push(`${id} ${event}`)));
    return { hub, log, watched };
  }

  test('is told for each room after it took effect, with the members there, the one in question included', () => {
    marbles((_, scheduler) => {
      const { log, watched } = told(scheduler);
      const change$ = new Subject<MembershipChange>();
      watched('ada', change$).subscribe();
      const ben = watched('ben', staying('a')).subscribe();
      change$.next(join('a', 'b'));
      change$.next(leave('b'));
      ben.unsubscribe();
      expect(log).toEqual([
        ...['ben online in a, of 1', 'ben joined a'],
        ...['ada online in a, of 2', 'ada online in b, of 1', 'ada joined a b'],
        ...['ada offline in b, of 1', 'ada left b'],
        'ben offline in a, of 2',
      ]);
    });
  });

  test('is not told of the global room', () => {
    marbles((_, scheduler) => {
      const { log, watched } = told(scheduler);
      watched('ada', staying(GLOBAL_ROOM)).subscribe().unsubscribe();
      expect(log).toEqual(['ada joined ']);
    });
  });

  test('is not told of a room that one is in already, or was never in', () => {
    marbles((_, scheduler) => {
      const { log, watched } = told(scheduler);
      watched('ada', concat(of(join('a'), join('a'), leave('b')), NEVER)).subscribe();
      expect(log).toEqual(['ada online in a, of 1', 'ada joined a', 'ada joined a', 'ada left b']);
    });
  });

  test('is not told of who went before the room was confirmed', () => {
    marbles(({ cold }, scheduler) => {
      const { log, watched } = told(scheduler, { rooms: { a: cold('-----t', { t: true }) } });
      const subscription = watched('ada', staying('a')).subscribe();
      scheduler.schedule(() => {
        subscription.unsubscribe();
      }, 3);
      scheduler.flush();
      expect(log).toEqual([]);
    });
  });
});
