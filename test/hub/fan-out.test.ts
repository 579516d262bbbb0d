import { expect, test } from '@jest/globals';
import { Observable } from 'rxjs';
import { fanOut } from '../../src/hub/fan-out.js';
import { payloads } from '../../src/hub/frame.js';
import { Member, Room, type MemberEvent } from '../../src/hub/room.js';

const roomHost = { confirmed: () => undefined, refused: () => undefined };
const memberHost = { change: () => undefined, leaveAll: () => undefined };

function member(received: MemberEvent[]): Member {
  const members: Member[] = [];
  const events$ = new Observable<MemberEvent>((output) => {
    members.push(new Member(output, 'id', 'identity', memberHost));
  });
  events$.subscribe((event) => received.push(event));
  const [only] = members;
  if (only === undefined) throw new Error('not subscribed');
  return only;
}

function roomWith(text: string, sinceMs: number, ...members: readonly Member[]): Room {
  const room = new Room(text, roomHost);
  for (const each of members) room.addMember(each);
  room.arrivals = { publications: [{ kind: 'publication', room: text, payload: Buffer.from(text) }], sinceMs };
  return room;
}

function texts(event: MemberEvent | undefined): readonly string[] {
  return event?.kind === 'batch' ? [...payloads(event)].map(String) : [];
}

test('sends one batch to all members of a room, and empties its arrivals', () => {
  const [first, second]: [MemberEvent[], MemberEvent[]] = [[], []];
  const room = roomWith('tea', 5, member(first), member(second));
  fanOut([room]);
  expect(texts(first[0])).toEqual(['tea']);
  expect(second).toHaveLength(1);
  expect(second[0]).toBe(first[0]);
  expect(room.arrivals).toBeUndefined();
});

test('sends one merged batch to a member of several rooms, with the earliest time', () => {
  const [both, one]: [MemberEvent[], MemberEvent[]] = [[], []];
  const inBoth = member(both);
  fanOut([roomWith('tea', 7, inBoth), roomWith('coffee', 5, inBoth, member(one))]);
  expect(both.map(texts)).toEqual([['tea', 'coffee']]);
  expect(one.map(texts)).toEqual([['coffee']]);
  expect(both[0]).toMatchObject({ messages: 2, publishedAtMs: 5 });
  expect(inBoth.pending).toBeUndefined();
});

test('sends nothing without rooms', () => {
  expect(() => {
    fanOut([]);
  }).not.toThrow();
});
