import { describe, expect, test } from '@jest/globals';
import type { Envelope } from '../../../src/protocol/protocol.js';
import { PresenceCheck } from '../../../simulation/checks/presence.js';
import { CHANNEL, CheckStage, ROOM, podAt } from '../../support/check-stage.js';

const POD = podAt(0);
const CLIENT = 'client';
type Status = 'online' | 'offline';

/** A pod's presence of one connection, whose `online` is under way from 1,000 ms on. */
class Telling extends CheckStage {
  constructor() {
    super((options) => new PresenceCheck(options));
    this.changes('online', 1000);
    this.sends('online', 1000);
  }

  changes(status: Status, ms: number): void {
    this.at(ms).tell({ kind: 'member', pod: POD, status, room: ROOM, clientId: CLIENT, isAnnounced: true });
  }

  sends(status: Status, ms: number): void {
    this.at(ms).publishing(status, 1, CLIENT);
  }

  /** Redis' answer comes, or the connection to it is lost before. */
  settles(status: Status, ms: number, isAnswered: boolean): void {
    this.at(ms).publishing(status, -1, CLIENT, isAnswered);
  }

  taken(status: Status, sentMs: number, ms: number): void {
    this.at(ms).takes(envelope(status), sentMs);
  }

  takenByReplica(status: Status, sentMs: number, ms: number): void {
    this.at(ms).misplaces(envelope(status), sentMs);
  }

  /** As the pod's metric says. */
  waits(changes: number, ms: number): void {
    this.at(ms).tell({ kind: 'presence', pod: POD, what: 'waiting', changes });
  }

  judged(): readonly (readonly string[])[] {
    this.at(60_000).tell({ kind: 'calm' });
    return [this.blamed, this.excused];
  }
}

function envelope(status: Status): Envelope {
  const data = { status, clientId: CLIENT, identity: CLIENT };
  return { id: status, type: 'presence', room: ROOM, from: 'server', data, timestamp: '' };
}

const WRONG = [
  `pod 0/1 counted 0 changes of presence as lost, and 1 were: ${CLIENT} in ${CHANNEL} is offline and was told as online`,
];

describe('a status that reaches Redis after a later one', () => {
  test('is excused, and counted, where its publish had ended unconfirmed before the later one was sent', () => {
    const telling = new Telling();
    telling.settles('online', 3000, false);
    telling.changes('offline', 4000);
    telling.sends('offline', 4000);
    telling.taken('offline', 4000, 4010);
    telling.taken('online', 1000, 4020);
    telling.settles('offline', 4020, true);
    expect(telling.judged()).toEqual([[], ['a presence that came after a later one']]);
  });

  test('is not counted where both say the same', () => {
    const telling = new Telling();
    telling.settles('online', 3000, false);
    telling.sends('online', 4000);
    telling.taken('online', 4000, 4010);
    telling.taken('online', 1000, 4020);
    telling.settles('online', 4020, true);
    expect(telling.judged()).toEqual([[], []]);
  });

  test('is a violation where the later one was sent while it was under way', () => {
    const telling = new Telling();
    telling.changes('offline', 2000);
    telling.sends('offline', 2000);
    telling.settles('online', 3000, false);
    telling.taken('offline', 2000, 4010);
    telling.taken('online', 1000, 4020);
    expect(telling.judged()).toEqual([WRONG, []]);
  });

  test('is a violation where it was answered', () => {
    const telling = new Telling();
    telling.settles('online', 3000, true);
    telling.changes('offline', 4000);
    telling.sends('offline', 4000);
    telling.taken('offline', 4000, 4010);
    telling.taken('online', 1000, 4020);
    expect(telling.judged()).toEqual([WRONG, []]);
  });
});

describe('a status whose publish ended unconfirmed', () => {
  test('is told where it reaches Redis with none before it, and has to be followed by the later one', () => {
    const telling = new Telling();
    telling.settles('online', 3000, false);
    telling.taken('online', 1000, 4000);
    telling.changes('offline', 5000);
    expect(telling.judged()).toEqual([WRONG, []]);
  });

  test('has to be told again where it never reaches Redis', () => {
    const telling = new Telling();
    telling.settles('online', 3000, false);
    expect(telling.judged()).toEqual([[expect.stringMatching(/is online and was told as nothing$/)], []]);
  });
});

describe('the change of a connection that has left', () => {
  const USELESS = ['1 changes of presence wait at pod 0/1, of 0 that can be of use'];

  test('can be of use while its `online` is under way', () => {
    const telling = new Telling();
    telling.changes('offline', 1000);
    telling.waits(1, 1000);
    expect(telling.blamed).toEqual([]);
  });

  test('can be of use where its `online` ended unconfirmed', () => {
    const telling = new Telling();
    telling.settles('online', 3000, false);
    telling.changes('offline', 4000);
    telling.waits(1, 4000);
    expect(telling.blamed).toEqual([]);
  });

  test('is of none where Redis has refused its `online`', () => {
    const telling = new Telling();
    telling.settles('online', 1002, true);
    telling.changes('offline', 4000);
    telling.waits(1, 4000);
    expect(telling.blamed).toEqual(USELESS);
  });

  test('can still be of use where Redis has refused its `online` after one that ended unconfirmed', () => {
    const telling = new Telling();
    telling.settles('online', 3000, false);
    telling.sends('online', 4000);
    telling.settles('online', 4002, true);
    telling.changes('offline', 5000);
    telling.waits(1, 5000);
    expect(telling.blamed).toEqual([]);
  });
});

describe('a status that a replica took', () => {
  const NOT_TOLD = [expect.stringMatching(/is online and was told as nothing$/)];

  test('is told where its pod got an answer', () => {
    const telling = new Telling();
    telling.takenByReplica('online', 1000, 1005);
    telling.settles('online', 1010, true);
    expect(telling.judged()).toEqual([[], []]);
  });

  test('has to be told again where its publish ended unconfirmed after that', () => {
    const telling = new Telling();
    telling.takenByReplica('online', 1000, 1005);
    telling.settles('online', 3000, false);
    expect(telling.judged()).toEqual([NOT_TOLD, []]);
  });

  test('has to be told again where its publish ended unconfirmed before that', () => {
    const telling = new Telling();
    telling.settles('online', 3000, false);
    telling.takenByReplica('online', 1000, 4000);
    expect(telling.judged()).toEqual([NOT_TOLD, []]);
  });

  test('does not come after a later one where its publish ended unconfirmed: the room heard the later one alone', () => {
    const telling = new Telling();
    telling.settles('online', 3000, false);
    telling.changes('offline', 4000);
    telling.sends('offline', 4000);
    telling.taken('offline', 4000, 4010);
    telling.takenByReplica('online', 1000, 4020);
    telling.settles('offline', 4020, true);
    expect(telling.judged()).toEqual([[], []]);
  });
});
