import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from '@jest/globals';
import { PresenceChanges, type PresenceChange } from '../../src/hub/presence-changes.js';

/** Collects all garbage and returns the bytes that are left. */
function garbageCollector(): () => number {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  return () => {
    gc();
    gc();
    return getHeapStatistics().used_heap_size;
  };
}

type Kind = 'online' | 'offline';

/** Changes of one room, and of the connections by their names. */
class Scene {
  readonly changes: PresenceChanges;

  constructor(capacity = 100) {
    this.changes = new PresenceChanges(capacity);
  }

  note(kind: Kind, clientId: string, room = 'tea'): number {
    return this.changes.add({ kind, room, clientId, identity: clientId, members: 1 });
  }

  /** Takes the next, which has to be there. */
  take(): PresenceChange {
    const change = this.changes.take();
    if (change === undefined) throw new Error('nothing waits');
    return change;
  }

  /** All that can be taken, as `online ada`, which is told. */
  told(): string[] {
    const told: string[] = [];
    for (let change = this.changes.take(); change !== undefined; change = this.changes.take()) {
      told.push(`${change.status} ${change.clientId}`);
      this.changes.published(change);
    }
    return told;
  }
}

describe('changes of one connection', () => {
  test('are one for each of its rooms, and each goes alone', () => {
    const scene = new Scene();
    for (const room of ['tea', 'milk', 'jam']) scene.note('online', 'ada', room);
    expect(scene.changes.size).toBe(3);
    // Left before anybody was told.
    scene.note('offline', 'ada', 'milk');
    scene.note('offline', 'ada', 'tea');
    expect([scene.changes.size, scene.take().room]).toEqual([1, 'jam']);
    scene.changes.forget({ kind: 'offline', room: 'jam', clientId: 'ada', identity: 'ada', members: 9 });
    expect(scene.changes.size).toBe(0);
    scene.note('online', 'ada', 'milk');
    scene.changes.forget({ kind: 'offline', room: 'tea', clientId: 'ada', identity: 'ada', members: 9 });
    expect([scene.changes.size, scene.take().room]).toEqual([1, 'milk']);
  });

  test('take at most 300 bytes each, and its names', () => {
    const collect = garbageCollector();
    const count = 20_000;
    const changes = new PresenceChanges(count);
    const events = Array.from({ length: count }, (_, nth) => {
      const clientId = `client ${nth}`;
      return { kind: 'online', room: 'tea', clientId, identity: clientId, members: 1 } as const;
    });
    const before = collect();
    for (const event of events) changes.add(event);
    expect((collect() - before) / count).toBeLessThan(300);
    expect([changes.size, events.length]).toEqual([count, count]);
  });
});

describe('what waits', () => {
  test('is taken in its order, and is gone when it was told', () => {
    const scene = new Scene();
    scene.note('online', 'ada');
    scene.note('offline', 'ben');
    expect(scene.changes.size).toBe(2);
    expect(scene.told()).toEqual(['online ada', 'offline ben']);
    expect(scene.changes.size).toBe(0);
  });

  test.each<[Kind, Kind]>([
    ['online', 'offline'],
    ['offline', 'online'],
  ])('is forgotten where %s is followed by %s before either was sent', (first, second) => {
    const scene = new Scene();
    scene.note(first, 'ada');
    scene.note(second, 'ada');
    expect([scene.told(), scene.changes.size]).toEqual([[], 0]);
  });

  test('is apart for each room and each connection', () => {
    const scene = new Scene();
    scene.note('online', 'ada', 'tea');
    scene.note('offline', 'ada', 'milk');
    scene.note('offline', 'ben', 'tea');
    expect(scene.told()).toEqual(['online ada', 'offline ada', 'offline ben']);
  });

  test('is no more than one for each connection and room, however often it comes and goes', () => {
    const scene = new Scene();
    for (let nth = 0; nth < 1000; nth += 1) {
      scene.note('online', 'ada');
      expect(scene.changes.size).toBe(1);
      scene.note('offline', 'ada');
    }
    expect(scene.changes.size).toBe(0);
  });

  test('is forgotten where the room has become too busy to be told', () => {
    const scene = new Scene();
    scene.note('online', 'ada');
    scene.changes.forget({ kind: 'offline', room: 'tea', clientId: 'ada', identity: 'ada', members: 101 });
    expect([scene.told(), scene.changes.size]).toEqual([[], 0]);
  });
});

describe('what is under way', () => {
  test('is followed by what has changed meanwhile, and not before it has ended', () => {
    const scene = new Scene();
    scene.note('online', 'ada');
    const online = scene.take();
    scene.note('offline', 'ada');
    expect(scene.changes.take()).toBeUndefined();
    scene.changes.published(online);
    expect(scene.told()).toEqual(['offline ada']);
  });

  test('is not repeated where the connection went and came back meanwhile', () => {
    const scene = new Scene();
    scene.note('online', 'ada');
    const online = scene.take();
    scene.note('offline', 'ada');
    scene.note('online', 'ada');
    scene.changes.published(online);
    expect([scene.told(), scene.changes.size]).toEqual([[], 0]);
  });

  test('is followed by nothing where the room has become too busy', () => {
    const scene = new Scene();
    scene.note('online', 'ada');
    const online = scene.take();
    scene.changes.forget({ kind: 'offline', room: 'tea', clientId: 'ada', identity: 'ada', members: 101 });
    scene.changes.fail(online, false);
    scene.changes.retry(10);
    expect([scene.told(), scene.changes.size]).toEqual([[], 0]);
  });
});

describe('what failed', () => {
  test('is taken once more when it is time, with the others that failed in their order', () => {
    const scene = new Scene();
    scene.note('online', 'ada');
    scene.note('online', 'ben');
    for (const change of [scene.take(), scene.take()]) scene.changes.fail(change, true);
    expect([scene.told(), scene.changes.failed]).toEqual([[], 2]);
    scene.changes.retry(1);
    expect(scene.told()).toEqual(['online ada']);
    scene.changes.retry(10);
    expect([scene.told(), scene.changes.size]).toEqual([['online ben'], 0]);
  });

  test('and was not published for certain is forgotten where the connection has left since', () => {
    const scene = new Scene();
    scene.note('online', 'ada');
    scene.changes.fail(scene.take(), true);
    scene.note('offline', 'ada');
    scene.changes.retry(10);
    expect([scene.told(), scene.changes.size]).toEqual([[], 0]);
  });

  test('and may have been published is followed by what has changed since', () => {
    const scene = new Scene();
    scene.note('online', 'ada');
    scene.changes.fail(scene.take(), false);
    scene.note('offline', 'ada');
    scene.changes.retry(10);
    expect(scene.told()).toEqual(['offline ada']);
  });

  test('can be given up', () => {
    const scene = new Scene();
    scene.note('online', 'ada');
    scene.changes.fail(scene.take(), true);
    scene.note('online', 'ben');
    expect(scene.changes.giveUpFailed()).toBe(1);
    expect(scene.told()).toEqual(['online ben']);
  });
});

describe('where there is no space', () => {
  test('the newest is given up', () => {
    const scene = new Scene(2);
    expect(['ada', 'ben', 'cat'].map((id) => scene.note('online', id))).toEqual([0, 0, 1]);
    expect(scene.told()).toEqual(['online ada', 'online ben']);
  });

  test('or rather what failed longest ago', () => {
    const scene = new Scene(2);
    scene.note('online', 'ada');
    scene.note('online', 'ben');
    scene.changes.fail(scene.take(), true);
    expect(scene.note('online', 'cat')).toBe(1);
    expect([scene.changes.size, scene.told()]).toEqual([2, ['online ben', 'online cat']]);
  });
});
