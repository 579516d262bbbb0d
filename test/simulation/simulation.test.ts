import { describe, expect, test } from '@jest/globals';
import { planOf, FAULT_KINDS, type Settings } from '../../simulation/plan.js';
import { play } from '../../simulation/play.js';
import { Statistics } from '../../simulation/statistics.js';

const SEEDS = 240;
const SMALL = { pods: 3, connections: 10, minutes: 0.4 };

/** So often at least must each kind of fault have happened, in all seeds together. */
const LEAST_OF_EACH_FAULT = 8;

/** What the seeds together must have come to, at least. */
const LEAST = {
  publishes: 60_000,
  deliveries: 300_000,
  waited: 800,
  presence: 3000,
  runs: { single: 80, sentinel: 30, cluster: 30 },
  gaps: { subscription: 400, slow_consumer: 15 },
  errors: { unavailable: 1000, unconfirmed: 150, not_in_room: 2000, unknown_type: 1000 },
  closes: { 1000: 2500, 1001: 30, 4000: 30, 4001: 250, 4500: 70 },
};

describe('many small deployments, each with misfortunes of its own', () => {
  test(`nothing is lost in silence in ${SEEDS} seeds, and they try everything`, async () => {
    const all = new Statistics();
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { violations, statistics: statistics } = await play(planOf({ ...SMALL, seed }));
      if (violations.length > 0) throw new Error(failureOf({ ...SMALL, seed }, violations));
      all.add(statistics);
    }
    const faults = Object.keys(FAULT_KINDS).map((kind) => [kind, all.faults.get(kind) ?? 0] as const);
    expect(faults.filter(([, times]) => times < LEAST_OF_EACH_FAULT)).toEqual([]);
    expect(tooFew(all)).toEqual([]);
    // Half a minute by itself; other work on the machine makes it minutes.
  }, 600_000);
});

describe('a run', () => {
  test('is the same again for the same seed, and another for another', async () => {
    const hashOf = async (seed: number) => (await play(planOf({ ...SMALL, seed }))).hash;
    const hash = await hashOf(5);
    expect(await hashOf(5)).toBe(hash);
    expect(await hashOf(6)).not.toBe(hash);
  });

  test('of a calm plan tells nobody of anything', async () => {
    const calm = Array.from({ length: 100 }, (_, seed) => planOf({ ...SMALL, seed })).find((plan) => plan.calm);
    if (calm === undefined) throw new Error('no plan is calm');
    const { violations, statistics: statistics } = await play(calm);
    expect(violations).toEqual([]);
    expect([statistics.faults.size, statistics.gaps.size, [...statistics.errors.keys()], [...statistics.closes.keys()]]).toEqual([
      0,
      0,
      ['not_in_room'],
      ['1000'],
    ]);
    expect(statistics.deliveries).toBeGreaterThan(100);
  });

  test('of a part of a plan has what the whole has, without what was left out', () => {
    const whole = planOf({ ...SMALL, seed: 1, minutes: 5 });
    const part = planOf({ ...SMALL, seed: 1, minutes: 5 }, { faults: [1, 3], clients: [2] });
    expect(part.faults).toEqual([whole.faults[1], whole.faults[3]]);
    expect(part.clients).toEqual([whole.clients[2]]);
  });
});

function failureOf(
  { seed, pods, connections, minutes }: Settings,
  violations: readonly { readonly check: string; readonly what: string }[],
): string {
  const seen = violations.map(({ check, what }) => `${check}: ${what}`).join('\n');
  return `${seen}\nsee it: npm run simulate -- --seed ${seed} --pods ${pods} --connections ${connections} --minutes ${minutes}`;
}

/** What the seeds did too little of. */
function tooFew(all: Statistics): readonly string[] {
  const { runs, gaps, errors, closes, ...plain } = LEAST;
  const rows = [
    ...Object.entries(plain).map(([what, least]) => ({ what, least, times: all[what as keyof typeof plain] })),
    ...Object.entries(runs).map(([what, least]) => ({ what, least, times: all.runs.get(what) ?? 0 })),
    ...Object.entries(gaps).map(([what, least]) => ({ what, least, times: all.gaps.get(what) ?? 0 })),
    ...Object.entries(errors).map(([what, least]) => ({ what, least, times: all.errors.get(what) ?? 0 })),
    ...Object.entries(closes).map(([what, least]) => ({ what, least, times: all.closes.get(what) ?? 0 })),
  ];
  return rows.filter(({ times, least }) => times < least).map(({ what, times, least }) => `${what}: ${times} of ${least}`);
}
