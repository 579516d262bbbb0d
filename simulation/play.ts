import { config as rxjsConfig } from 'rxjs';
import { readConfig } from '../src/config/config.js';
import { BoundsCheck } from './checks/bounds.js';
import { CausesCheck } from './checks/causes.js';
import type { CheckOptions, Violation } from './checks/check.js';
import { DeliveryCheck } from './checks/delivery.js';
import { IsolationCheck } from './checks/isolation.js';
import { BacklogCheck } from './checks/backlog.js';
import { ProtocolCheck } from './checks/protocol.js';
import { PresenceCheck } from './checks/presence.js';
import { LeftoversCheck } from './checks/leftovers.js';
import { SenderCheck } from './checks/senders.js';
import { Environment } from './checks/environment.js';
import type { Connection, FactObserver } from './facts.js';
import { History } from './history.js';
import { START_MS, type Plan } from './plan.js';
import { RECOVERY_MS, Simulation } from './simulation.js';
import { Statistics } from './statistics.js';

/** The result of playing a plan. */
export interface Outcome {
  readonly plan: Plan;
  /** A hash of all facts: equal in all runs of one plan. */
  readonly hash: string;
  readonly statistics: Statistics;
  /** The first violations of each check. */
  readonly violations: readonly Violation[];
  /** The events before the first violation, if asked for. */
  readonly history: readonly string[];
}

/** The most violations that are recorded per check: one failure has many consequences. */
const MOST_VIOLATIONS = 20;

/** Plays a plan with all checks. Rejects only if the simulation itself fails. */
export async function play(plan: Plan, { withHistory = false } = {}): Promise<Outcome> {
  const statistics = new Statistics();
  statistics.begin(plan.redis);
  const violations: Violation[] = [];
  const history = withHistory ? new History() : undefined;
  const simulation = new Simulation(plan, ({ redis, clocks, now }) => {
    const report = (check: string) => {
      let reported = 0;
      return (what: string, connection?: Connection) => {
        if ((reported += 1) <= MOST_VIOLATIONS) violations.push({ check, atMs: now(), what, connection });
        history?.stop();
      };
    };
    const excuse = (what: string) => {
      statistics.excuse(what);
    };
    return [statistics, ...(history ? [history] : []), ...checks({ plan, redis, clocks, excuse }, report)];
  });
  const before = rxjsConfig.onUnhandledError;
  rxjsConfig.onUnhandledError = (error) => {
    simulation.facts.record({ kind: 'failed', what: `uncaught: ${String(error)}` });
  };
  try {
    await simulation.run();
  } finally {
    rxjsConfig.onUnhandledError = before;
  }
  const [first] = violations;
  return { plan, hash: simulation.facts.hash, statistics, violations, history: first ? (history?.about(first) ?? []) : [] };
}

type Reporter = (check: string) => CheckOptions['report'];

type Watched = Pick<CheckOptions, 'plan' | 'redis' | 'clocks' | 'excuse'>;

function checks({ plan, redis, clocks, excuse }: Watched, report: Reporter): readonly FactObserver[] {
  const environment = new Environment(RECOVERY_MS);
  const config = readConfig(plan.environment);
  const options = (check: string): CheckOptions => ({ plan, config, redis, clocks, environment, report: report(check), excuse });
  return [
    environment,
    new DeliveryCheck(options('delivery')),
    new SenderCheck(options('senders')),
    new IsolationCheck(options('isolation')),
    new ProtocolCheck(options('protocol')),
    new BoundsCheck(options('bounds')),
    new BacklogCheck(options('backlog')),
    new CausesCheck(options('causes'), START_MS + plan.durationMs + RECOVERY_MS),
    new PresenceCheck(options('presence')),
    new LeftoversCheck(options('leftovers')),
  ];
}
