import { describe, expect, test } from '@jest/globals';
import { NEVER, Subject, timer, type Observable } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { connection } from '../../src/connection/connection.js';
import type { Batch } from '../../src/hub/frame.js';
import type { Pod } from '../../src/connection/context.js';
import type { Inbound } from '../../src/connection/transport.js';
import { ScriptedBroker } from '../support/broker.js';
import { READY } from '../support/consumer.js';
import { marbles } from '../support/marbles.js';
import { inRooms, mailbox, virtualPod } from '../support/pod.js';

/** What a connection's socket is given to write, welcome aside: one write each. */
function writesOf(pod: Pod, id: string, rooms: readonly string[], inbound$: Observable<Inbound> = NEVER): Batch[] {
  const writes: Batch[] = [];
  connection(mailbox(inbound$, pod), READY, inRooms(pod, id, rooms)).subscribe((outbound) => {
    if (outbound.kind === 'batch' && outbound.publishedAtMs !== undefined) writes.push(outbound);
  });
  return writes;
}

/** Of each write, how many parts and how many messages. */
function shape(writes: readonly Batch[]) {
  return writes.map(({ parts, messages }) => [parts.length, messages]);
}

/** Lets so much virtual time pass, though the pod's pulse never ends. */
function pass(scheduler: TestScheduler, ms: number): void {
  scheduler.maxFrames = ms;
  scheduler.flush();
}

function many<T>(count: number, make: (nth: number) => T): T[] {
  return Array.from({ length: count }, (_, nth) => make(nth));
}

describe('what is said in one turn', () => {
  test.each([1, 2, 1000])('costs each member of a room one write, whether it is %p messages', (messages) => {
    marbles((_, scheduler) => {
      const broker = new ScriptedBroker();
      const pod = virtualPod(scheduler, { broker });
      const members = many(10, (nth) => writesOf(pod, `m${nth}`, ['tea']));
      timer(5, scheduler).subscribe(() => {
        for (let count = 0; count < messages; count += 1) broker.deliver('tea', 'x');
      });
      pass(scheduler, 20);
      expect(members.map(shape)).toEqual(members.map(() => [[1, messages]]));
    });
  });

  test('costs a member of several rooms that spoke one write too, of one part per room', () => {
    marbles((_, scheduler) => {
      const broker = new ScriptedBroker();
      const pod = virtualPod(scheduler, { broker });
      const rooms = ['tea', 'milk', 'rum'];
      const everywhere = writesOf(pod, 'ada', rooms);
      const somewhere = writesOf(pod, 'ben', ['milk']);
      const elsewhere = writesOf(pod, 'cat', ['soup']);
      timer(5, scheduler).subscribe(() => {
        for (let count = 0; count < 30; count += 1) for (const room of rooms) broker.deliver(room, 'x');
      });
      pass(scheduler, 20);
      expect(shape(everywhere)).toEqual([[3, 90]]);
      expect(shape(somewhere)).toEqual([[1, 30]]);
      expect(elsewhere).toEqual([]);
    });
  });

  test('is apart from what is said in the next', () => {
    marbles((_, scheduler) => {
      const broker = new ScriptedBroker();
      const pod = virtualPod(scheduler, { broker });
      const writes = writesOf(pod, 'ada', ['tea']);
      for (const at of [5, 5, 6, 7, 7, 7]) {
        timer(at, scheduler).subscribe(() => {
          broker.deliver('tea', 'x');
        });
      }
      pass(scheduler, 20);
      expect(writes.map(({ messages }) => messages)).toEqual([2, 1, 3]);
    });
  });
});

describe('the bytes of a message', () => {
  test('are made once per pod: every member of its room is handed the same', () => {
    marbles((_, scheduler) => {
      const broker = new ScriptedBroker();
      const pod = virtualPod(scheduler, { broker });
      const members = many(100, (nth) => writesOf(pod, `m${nth}`, ['tea']));
      timer(5, scheduler).subscribe(() => {
        broker.deliver('tea', 'hello');
      });
      pass(scheduler, 20);
      const parts = members.flat().flatMap((batch) => batch.parts);
      expect(parts).toHaveLength(100);
      expect(new Set(parts).size).toBe(1);
    });
  });

  test('are the same too for members who hear of other rooms in the same turn', () => {
    marbles((_, scheduler) => {
      const broker = new ScriptedBroker();
      const pod = virtualPod(scheduler, { broker });
      const both = many(50, (nth) => writesOf(pod, `b${nth}`, ['tea', 'milk']));
      const either = many(50, (nth) => writesOf(pod, `e${nth}`, [nth % 2 === 0 ? 'tea' : 'milk']));
      timer(5, scheduler).subscribe(() => {
        broker.deliver('tea', 'hello');
        broker.deliver('milk', 'moo');
      });
      pass(scheduler, 20);
      const parts = [...both, ...either].flat().flatMap((batch) => batch.parts);
      expect(parts).toHaveLength(150);
      expect(new Set(parts).size).toBe(2);
    });
  });
});

describe('timers', () => {
  /** How many there are while so many connections are open, at each of these moments; each connection has said something at 3 ms. */
  function timersWith(connections: number, moments: readonly number[]): number[] {
    const counts: number[] = [];
    marbles((_, scheduler) => {
      const pod = virtualPod(scheduler, { broker: new ScriptedBroker() });
      const said$ = new Subject<Inbound>();
      for (let nth = 0; nth < connections; nth += 1) writesOf(pod, `c${nth}`, ['tea', `room ${nth}`], said$);
      counts.push(scheduler.actions.length);
      pass(scheduler, 3);
      said$.next({ kind: 'text', text: '{"type":"chat","room":"tea","data":{"content":"hi"}}' });
      said$.next({ kind: 'text', text: '{"type":"ping"}' });
      for (const ms of moments) {
        pass(scheduler, ms);
        counts.push(scheduler.actions.length);
      }
    });
    return counts;
  }

  test('are as many for 100 connections as for one: the pod’s pulse', () => {
    const moments = [10, 1500, 13_500, 38_500];
    const withOne = timersWith(1, moments);
    expect(withOne).toEqual([1, 1, 1, 1, 1]);
    expect(timersWith(100, moments)).toEqual(withOne);
  });
});
