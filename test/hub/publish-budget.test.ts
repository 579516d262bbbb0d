import { describe, expect, test } from '@jest/globals';
import { POD_BYTES, PublishBudget, RESERVE_BYTES, costOf, type Waiter } from '../../src/hub/publish-budget.js';
import { Room } from '../../src/hub/room.js';
import type { RoundTrip } from '../../src/hub/round-trip.js';
import { TestTrip } from '../support/round-trip.js';

/** A publish under way; ends with `unsubscribe`. */
function begin(budget: PublishBudget, bytes: number, startedMs = 0, room?: Room): RoundTrip {
  const trip = new TestTrip(`of ${startedMs}`, bytes);
  trip.begin({ budget, answered: () => undefined }, startedMs, room);
  return trip;
}

/** A connection with messages of these costs, each under way until `settle`. */
class Sender implements Waiter {
  readonly #budget: PublishBudget;
  readonly #name: string;
  readonly #costs: number[];
  readonly #sent: string[];
  readonly #trips: RoundTrip[];

  constructor(name: string, costs: readonly number[], { budget, sent, trips }: Scene) {
    this.#name = name;
    this.#costs = [...costs];
    this.#budget = budget;
    this.#sent = sent;
    this.#trips = trips;
    budget.wait(this);
  }

  get nextCost(): number {
    return this.#costs[0] ?? 0;
  }

  send(): void {
    const cost = this.#costs.shift();
    if (cost === undefined) return;
    this.#sent.push(this.#name);
    this.#trips.push(begin(this.#budget, cost));
    if (this.#costs.length > 0) this.#budget.wait(this);
  }
}

interface Scene {
  readonly budget: PublishBudget;
  readonly sent: string[];
  readonly trips: RoundTrip[];
}

/** A budget that is used up. */
function full(): Scene & { readonly all: RoundTrip } {
  const budget = new PublishBudget();
  return { budget, sent: [], trips: [], all: begin(budget, POD_BYTES) };
}

describe('a publish budget', () => {
  test('counts what is under way, each publish once', () => {
    const budget = new PublishBudget();
    const [a, b] = [begin(budget, 100), begin(budget, 50)];
    expect(budget.underWayBytes).toBe(150);
    a.unsubscribe();
    a.unsubscribe();
    budget.give(a);
    expect(budget.underWayBytes).toBe(50);
    b.unsubscribe();
    expect(budget.underWayBytes).toBe(0);
  });

  test('admits what fits, to the last byte', () => {
    const budget = new PublishBudget();
    begin(budget, 1000);
    expect(budget.admits(POD_BYTES - 1000, false)).toBe(true);
    expect(budget.admits(POD_BYTES - 999, false)).toBe(false);
  });

  test('admits a message that is larger than all of it, alone', () => {
    const budget = new PublishBudget();
    expect(budget.admits(POD_BYTES * 2, false)).toBe(true);
    begin(budget, 1);
    expect(budget.admits(POD_BYTES * 2, false)).toBe(false);
  });

  test('admits nothing past those who wait, though it would fit', () => {
    const scene: Scene = { budget: new PublishBudget(), sent: [], trips: [] };
    begin(scene.budget, 1000);
    expect(scene.budget.admits(1000, false)).toBe(true);
    new Sender('a', [POD_BYTES], scene);
    expect(scene.budget.admits(1000, false)).toBe(false);
  });

  test('admits a small first message of a connection within the reserve, whoever waits', () => {
    const scene = full();
    new Sender('a', [1000], scene);
    expect(scene.budget.admits(4096, true)).toBe(true);
    expect(scene.budget.admits(4097, true)).toBe(false);
    expect(scene.budget.admits(4096, false)).toBe(false);
    begin(scene.budget, RESERVE_BYTES - 4096);
    expect(scene.budget.admits(4096, true)).toBe(true);
    expect(scene.budget.admits(4096, true)).toBe(true);
    begin(scene.budget, 1);
    expect(scene.budget.admits(4096, true)).toBe(false);
  });

  test('serves those who wait by turns, one message each', () => {
    const scene = full();
    new Sender('a', [100, 100, 100, 100], scene);
    new Sender('b', [100, 100], scene);
    new Sender('c', [100], scene);
    scene.all.unsubscribe();
    expect(scene.sent.join('')).toBe('abcabaa');
  });

  test('has a large message at the front hold up the small ones behind it, which would keep it out for ever', () => {
    const scene = full();
    const half = begin(scene.budget, POD_BYTES / 2);
    new Sender('large', [POD_BYTES], scene);
    new Sender('small', [100], scene);
    scene.all.unsubscribe();
    expect(scene.sent).toEqual([]);
    half.unsubscribe();
    expect(scene.sent).toEqual(['large']);
    scene.trips[0]?.unsubscribe();
    expect(scene.sent).toEqual(['large', 'small']);
  });

  test('serves no deeper in the stack for each publish that is over at once', () => {
    const scene = full();
    let depth = 0;
    let deepest = 0;
    let left = 10_000;
    const waiter: Waiter = {
      nextCost: 100,
      send: () => {
        depth += 1;
        deepest = Math.max(deepest, depth);
        left -= 1;
        if (left > 0) scene.budget.wait(waiter);
        begin(scene.budget, 100).unsubscribe();
        depth -= 1;
      },
    };
    scene.budget.wait(waiter);
    scene.all.unsubscribe();
    expect(left).toBe(0);
    expect(deepest).toBe(1);
  });

  test('names what is overdue: accepted, old, and seen as such for the timeout', () => {
    const budget = new PublishBudget();
    const room = new Room('tea', { confirmed: () => undefined, refused: () => undefined });
    room.next(true);
    const [old, , young] = [0, 0, 500].map((startedMs) => begin(budget, 1, startedMs, room));
    old?.complete();
    young?.complete();
    expect(budget.overdue(999, 1000)).toEqual([]);
    expect(budget.overdue(1000, 1000)).toEqual([]);
    expect(budget.overdue(1999, 1000)).toEqual([]);
    expect(budget.overdue(2000, 1000)).toEqual([old]);
  });
});

describe('the cost of an envelope', () => {
  test('is its bytes, not its characters, and what Redis writes around it', () => {
    expect(costOf('é')).toBe(costOf('xx'));
    expect(costOf('xx') - costOf('x')).toBe(1);
    expect(costOf('')).toBeGreaterThan(100);
  });
});
