import { expect, test } from '@jest/globals';
import { NEVER, concat, map, of, throwError, type Observable } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { PublishError } from '../../src/broker/broker.js';
import type { MemberEvent, MembershipChange } from '../../src/hub/member.js';
import type { Pod } from '../../src/pod.js';
import { presence } from '../../src/hub/presence.js';
import { GLOBAL_ROOM } from '../../src/protocol.js';
import { brief } from '../support/brief.js';
import { ScriptedBroker } from '../support/broker.js';
import { marbles } from '../support/marbles.js';
import { virtualPod } from '../support/pod.js';

/** Wants to be in rooms from its first moment on. */
function staying(...rooms: readonly string[]): Observable<MembershipChange> {
  return concat(of({ kind: 'join', rooms } as const), NEVER);
}

function short(event: MemberEvent): string {
  return event.kind === 'batch' ? brief(event) : [event.kind, ...event.rooms].join(' ');
}

/** A pod that tells presence to rooms of so many members, through a broker that remembers what was published. */
function telling(scheduler: TestScheduler, maxMembers: number) {
  const broker = new ScriptedBroker();
  const pod = virtualPod(scheduler, { broker });
  const subscription = presence(pod, maxMembers).subscribe();
  return { broker, pod, subscription, told: () => broker.published.map(inShort) };
}

/** `online ada in tea`, of a publish as the scripted broker remembers it. */
function inShort(published: string): string {
  const [, payload = ''] = /^\S* (.*)$/.exec(published) ?? [];
  const { data, room } = JSON.parse(payload) as { data: { status: string; clientId: string }; room: string };
  return `${data.status} ${data.clientId} in ${room}`;
}

function enter({ hub }: Pod, id: string, ...rooms: readonly string[]) {
  return hub.member$(id, staying(...rooms)).subscribe();
}

function enterMany(pod: Pod, count: number) {
  return Array.from({ length: count }, (_, n) => enter(pod, `m${n + 1}`, 'tea'));
}

test('the members of a room hear who comes and goes, and who comes hears it too', () => {
  marbles(({ hot, expectObservable }, scheduler) => {
    const pod = virtualPod(scheduler);
    presence(pod, 100).subscribe();
    const row = (id: string, change$: Observable<MembershipChange>) => pod.hub.member$(id, change$).pipe(map(short));
    const change$ = hot<MembershipChange>('5ms j 4ms l', {
      j: { kind: 'join', rooms: ['tea'] },
      l: { kind: 'leave', rooms: ['tea'] },
    });
    expectObservable(row('ada', staying(GLOBAL_ROOM, 'tea'))).toBe('(ja)-b 4ms c', {
      ...{ j: 'joined  tea', a: 'presence online ada' },
      ...{ b: 'presence online ben', c: 'presence offline ben' },
    });
    expectObservable(row('ben', change$)).toBe('5ms (jb) 1ms l', { j: 'joined tea', b: 'presence online ben', l: 'left tea' });
    expectObservable(row('cat', staying(GLOBAL_ROOM, 'milk'))).toBe('(jc)', { j: 'joined  milk', c: 'presence online cat' });
  });
});

test('presence is published as an envelope of the server’s, to the room and with its name', () => {
  marbles((_, scheduler) => {
    const { broker, pod } = telling(scheduler, 100);
    enter(pod, 'ada', 'tea');
    expect(broker.published).toEqual([
      'tea {"id":"id-1","type":"presence","room":"tea","from":"server",' +
        '"data":{"status":"online","clientId":"ada"},"timestamp":"1970-01-01T00:00:00.000Z"}',
    ]);
  });
});

test('it is told to each room of a connection, when it comes and when it goes', () => {
  marbles((_, scheduler) => {
    const { pod, told } = telling(scheduler, 100);
    enter(pod, 'ada', GLOBAL_ROOM, 'tea', 'milk').unsubscribe();
    expect(told()).toEqual(['online ada in tea', 'online ada in milk', 'offline ada in tea', 'offline ada in milk']);
  });
});

test('it is told when the room is confirmed, not when it is asked for', () => {
  marbles(({ cold, flush }, scheduler) => {
    const { broker, pod, told } = telling(scheduler, 100);
    broker.confirm = () => cold('-----t', { t: true });
    enter(pod, 'ada', 'tea');
    expect(told()).toEqual([]);
    flush();
    expect(told()).toEqual(['online ada in tea']);
  });
});

test('a connection in no room causes none', () => {
  marbles((_, scheduler) => {
    const { pod, told } = telling(scheduler, 100);
    enter(pod, 'ada', GLOBAL_ROOM).unsubscribe();
    expect(told()).toEqual([]);
  });
});

test('the hundredth member is told of, the hundred-and-first is not, and goes as it came', () => {
  marbles((_, scheduler) => {
    const { broker, pod, told } = telling(scheduler, 100);
    enterMany(pod, 100);
    expect(told()).toHaveLength(100);
    expect(told().at(-1)).toBe('online m100 in tea');
    broker.published.length = 0;
    enter(pod, 'm101', 'tea').unsubscribe();
    expect(told()).toEqual([]);
  });
});

test('a room that has shrunk to a hundred is told again', () => {
  marbles((_, scheduler) => {
    const { broker, pod, told } = telling(scheduler, 100);
    const [first, second] = enterMany(pod, 101);
    first?.unsubscribe();
    broker.published.length = 0;
    second?.unsubscribe();
    enter(pod, 'late', 'tea');
    expect(told()).toEqual(['offline m2 in tea', 'online late in tea']);
  });
});

test('a large room silences no other', () => {
  marbles((_, scheduler) => {
    const { broker, pod, told } = telling(scheduler, 2);
    enterMany(pod, 3);
    broker.published.length = 0;
    enter(pod, 'ada', 'tea', 'milk');
    expect(told()).toEqual(['online ada in milk']);
  });
});

test('0 turns it off', () => {
  marbles((_, scheduler) => {
    const { pod, told } = telling(scheduler, 0);
    enter(pod, 'ada', 'tea').unsubscribe();
    expect(told()).toEqual([]);
  });
});

test('a publish that fails is the end of nothing', () => {
  marbles((_, scheduler) => {
    const { broker, pod, subscription, told } = telling(scheduler, 100);
    broker.accept = () => throwError(() => new PublishError('unavailable', 'down'));
    enter(pod, 'ada', 'tea');
    broker.accept = () => [];
    enter(pod, 'ben', 'tea');
    expect(told()).toEqual(['online ada in tea', 'online ben in tea']);
    expect(subscription.closed).toBe(false);
  });
});

test('a publish that is not confirmed yet holds up no other', () => {
  marbles((_, scheduler) => {
    const { broker, pod, told } = telling(scheduler, 100);
    broker.accept = () => NEVER;
    enter(pod, 'ada', 'tea');
    enter(pod, 'ben', 'tea');
    expect(told()).toEqual(['online ada in tea', 'online ben in tea']);
  });
});

test('a pod that goes away tells nothing more', () => {
  marbles((_, scheduler) => {
    const { pod, subscription, told } = telling(scheduler, 100);
    const ada = enter(pod, 'ada', 'tea');
    subscription.unsubscribe();
    ada.unsubscribe();
    expect(told()).toEqual(['online ada in tea']);
  });
});
