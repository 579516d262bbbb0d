import { describe, expect, test } from '@jest/globals';
import type { Envelope } from '../../../src/protocol/protocol.js';
import { DeliveryCheck } from '../../../simulation/checks/delivery.js';
import type { Connection } from '../../../simulation/facts.js';
import { CheckStage, ROOM } from '../../support/check-stage.js';

const ID = 'late';
const SENDER = 0;
const OTHER = 1;
const LATE: Envelope = { id: ID, type: 'chat', room: ROOM, from: '00010000', data: {}, timestamp: '2026-01-01T00:00:01.000Z' };
/** The error is due by 4,500 ms: a publish takes at most 2,500 ms, and so long may an answer take to its sender. */
const DUE_MS = 4500;

interface Told {
  /** What the sender hears before the other connection ends. */
  readonly hears?: (stage: CheckStage, sender: Connection) => void;
  /** And after that. */
  readonly hearsLater?: (stage: CheckStage, sender: Connection) => void;
  readonly unread: number;
}

/**
 * A message is sent at 1,000 ms, and reaches Redis at 8,300 ms, while the pod of the other connection has no subscription. The gap
 * that the other connection hears reaches back to 5,500 ms.
 */
function lateMessage({ hears, hearsLater, unread }: Told): CheckStage {
  const stage = new CheckStage((options) => new DeliveryCheck(options));
  const sender = stage.at(0).opens(SENDER);
  const other = stage.opens(OTHER);
  stage.at(1000).says(sender, ID);
  stage.at(8300).takes(LATE, 1000);
  stage.at(9000).hears(other, stage.gap(OTHER, 5500));
  hears?.(stage.at(9500), sender);
  if (hearsLater === undefined) stage.at(20_000).ends(sender, unread);
  stage.at(21_000).ends(other, 0);
  if (hearsLater === undefined) return stage;
  hearsLater(stage.at(22_000), sender);
  stage.at(23_000).ends(sender, unread);
  return stage;
}

const TOO_SHORT = expect.stringMatching(/^never received chat late .* and no gap reaches back the 7300 ms that it took$/);

describe('a message that came too late for any gap', () => {
  test('is no violation where its sender was told', () => {
    const { blamed, excused } = lateMessage({
      hears: (stage, sender) => {
        stage.hears(sender, stage.error(SENDER, ID));
        stage.hears(sender, stage.gap(SENDER, 500));
      },
      unread: 0,
    });
    expect([blamed, excused]).toEqual([[], []]);
  });

  test('is excused, and counted, where its sender had stopped to read before the error was due', () => {
    const { blamed, excused } = lateMessage({ unread: 60_000 });
    expect([blamed, excused]).toEqual([[], ['a late message whose sender did not read the error']]);
  });

  test('is one where its sender had read all, and no error', () => {
    const { blamed, excused } = lateMessage({
      hears: (stage, sender) => {
        stage.hears(sender, earlier(stage.gap(SENDER, 500)));
      },
      unread: 0,
    });
    expect([blamed, excused]).toEqual([expect.arrayContaining([TOO_SHORT]), []]);
  });

  test('is one where its sender had read what was made after the error was due', () => {
    const { blamed, excused } = lateMessage({
      hears: (stage, sender) => {
        stage.hears(sender, stage.gap(SENDER, 500));
      },
      unread: 60_000,
    });
    expect([blamed, excused]).toEqual([[TOO_SHORT], []]);
  });

  test('is one where its sender had heard it, and no error', () => {
    const { blamed, excused } = lateMessage({
      hears: (stage, sender) => {
        stage.hears(sender, LATE);
      },
      unread: 60_000,
    });
    expect([blamed, excused]).toEqual([[TOO_SHORT], []]);
  });

  test('is excused where its sender had read what was made before the error was due, and a gap of its own slowness', () => {
    const { blamed, excused } = lateMessage({
      hears: (stage, sender) => {
        // The buffer puts that gap before all that waits.
        stage.hears(sender, stage.system(SENDER, { event: 'gap', reason: 'slow_consumer', since: '2026-01-01T00:00:00.000Z' }));
        stage.hears(sender, earlier(stage.error(SENDER, 'another')));
      },
      unread: 60_000,
    });
    expect([blamed, excused]).toEqual([[], ['a late message whose sender did not read the error']]);
  });
});

describe('a message that came too late for any gap, whose sender reads slowly', () => {
  test('is no violation where its sender reads the error in the end', () => {
    const { blamed, excused } = lateMessage({
      hearsLater: (stage, sender) => {
        stage.hears(sender, stage.error(SENDER, ID));
        stage.hears(sender, stage.gap(SENDER, 500));
      },
      unread: 0,
    });
    expect([blamed, excused]).toEqual([[], []]);
  });

  test('is excused where its sender ends without having read it', () => {
    const { blamed, excused } = lateMessage({ hearsLater: () => undefined, unread: 60_000 });
    expect([blamed, excused]).toEqual([[], ['a late message whose sender did not read the error']]);
  });

  test('is one where its sender reads on, and there was no error', () => {
    const { blamed, excused } = lateMessage({
      hearsLater: (stage, sender) => {
        stage.hears(sender, LATE);
      },
      unread: 0,
    });
    expect([blamed, excused]).toEqual([[TOO_SHORT], []]);
  });
});

describe('presence that a replica took, and that a connection has not heard', () => {
  const CLIENT = 'client';
  const NEVER_HEARD = expect.stringMatching(/^never received presence .*, which a replica had taken, nor any gap about it$/);

  /** It is sent at 1,000 ms, while masters change. @param happens what becomes of its publish, and that the replica takes it */
  function presence(happens: (stage: CheckStage, message: Envelope) => void): CheckStage {
    const stage = new CheckStage((options) => new DeliveryCheck(options));
    const other = stage.at(0).opens(OTHER);
    const fault = { index: 0, kind: 'demotion', atMs: 990, lastsMs: 5000, slot: -1 } as const;
    stage.at(990).tell({ kind: 'fault', fault, phase: 'begins' });
    const id = stage.at(1000).newId(SENDER);
    const data = { status: 'online', clientId: CLIENT, identity: CLIENT };
    stage.publishing(id, 1, CLIENT);
    happens(stage, { id, type: 'presence', room: ROOM, from: 'server', data, timestamp: '' });
    stage.at(20_000).ends(other, 0);
    return stage;
  }

  test('is a violation where its pod got an answer', () => {
    const { blamed } = presence((stage, message) => {
      stage.at(1010).misplaces(message, 1000);
      stage.at(1020).publishing(message.id, -1, CLIENT, true);
    });
    expect(blamed).toEqual([NEVER_HEARD]);
  });

  test('is none where its publish ended unconfirmed: its pod tells the room again', () => {
    const { blamed } = presence((stage, message) => {
      stage.at(1010).misplaces(message, 1000);
      stage.at(3000).publishing(message.id, -1, CLIENT);
    });
    expect(blamed).toEqual([]);
  });

  test('is none where its publish had ended unconfirmed before', () => {
    const { blamed } = presence((stage, message) => {
      stage.at(3000).publishing(message.id, -1, CLIENT);
      stage.at(4000).misplaces(message, 1000);
    });
    expect(blamed).toEqual([]);
  });
});

/** As if it had been made just before the error was due. */
function earlier(message: Envelope): Envelope {
  const { id } = message;
  return { ...message, id: `${id.slice(0, 24)}${(DUE_MS - 1).toString(16).padStart(8, '0')}${id.slice(32)}` };
}
