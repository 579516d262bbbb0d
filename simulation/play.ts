import { config as rxjsConfig } from 'rxjs';
import { readConfig } from '../src/config/config.js';
import { BoundsCheck } from './checks/bounds.js';
import { CausesCheck } from './checks/causes.js';
import type { CheckOptions, Violation } from './checks/check.js';
import { DeliveryCheck } from './checks/delivery.js';
import { IsolationCheck } from './checks/isolation.js';
import { LinesCheck } from './checks/lines.js';
import { MannersCheck } from './checks/manners.js';
import { PresenceCheck } from './checks/presence.js';
import { RemainsCheck } from './checks/remains.js';
import { SenderCheck } from './checks/senders.js';
import { Weather } from './checks/weather.js';
import type { Connection, Witness } from './facts.js';
import { History } from './history.js';
import { START_MS, type Plan } from './plan.js';
import { RECOVERY_MS, Simulation } from './simulation.js';
import { Tally } from './tally.js';

/** What came of a plan. */
export interface Outcome {
  readonly plan: Plan;
  /** Sums up all that happened: two runs of one plan have it in common. */
  readonly hash: string;
  readonly tally: Tally;
  /** The first of them; a failure has many consequences. */
  readonly violations: readonly Violation[];
  /** What led to the first violation, where it was asked for. */
  readonly history: readonly string[];
}

/** Of each check. */
const MOST_VIOLATIONS = 20;

/** Plays a plan and checks every promise. Rejects only where the simulation itself is broken. */
export async function play(plan: Plan, { withHistory = false } = {}): Promise<Outcome> {
  const tally = new Tally();
  tally.begin(plan.redis);
  const violations: Violation[] = [];
  const history = withHistory ? new History() : undefined;
  const simulation = new Simulation(plan, ({ redis, clocks, now }) => {
    const blame = (check: string) => {
      let blamed = 0;
      return (what: string, connection?: Connection) => {
        if ((blamed += 1) <= MOST_VIOLATIONS) violations.push({ check, atMs: now(), what, connection });
        history?.stop();
      };
    };
    const excuse = (what: string) => {
      tally.excuse(what);
    };
    return [tally, ...(history ? [history] : []), ...checks({ plan, redis, clocks, excuse }, blame)];
  });
  const before = rxjsConfig.onUnhandledError;
  rxjsConfig.onUnhandledError = (error) => {
    simulation.facts.tell({ kind: 'failed', what: `nobody caught: ${String(error)}` });
  };
  try {
    await simulation.run();
  } finally {
    rxjsConfig.onUnhandledError = before;
  }
  const [first] = violations;
  return { plan, hash: simulation.facts.hash, tally, violations, history: first ? (history?.about(first) ?? []) : [] };
}

type Blame = (check: string) => CheckOptions['blame'];

type Watched = Pick<CheckOptions, 'plan' | 'redis' | 'clocks' | 'excuse'>;

function checks({ plan, redis, clocks, excuse }: Watched, blame: Blame): readonly Witness[] {
  const weather = new Weather(RECOVERY_MS);
  const config = readConfig(plan.environment);
  const options = (check: string): CheckOptions => ({ plan, config, redis, clocks, weather, blame: blame(check), excuse });
  return [
    weather,
    new DeliveryCheck(options('delivery')),
    new SenderCheck(options('senders')),
    new IsolationCheck(options('isolation')),
    new MannersCheck(options('manners')),
    new BoundsCheck(options('bounds')),
    new LinesCheck(options('lines')),
    new CausesCheck(options('causes'), START_MS + plan.durationMs + RECOVERY_MS),
    new PresenceCheck(options('presence')),
    new RemainsCheck(options('remains')),
  ];
}
