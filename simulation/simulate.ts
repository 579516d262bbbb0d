import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { REDIS_KINDS, planOf, type Plan, type RedisKind, type Selection, type Settings } from './plan.js';
import { play, type Outcome } from './play.js';
import { shrink } from './shrink.js';
import { Statistics } from './statistics.js';

const USAGE = `usage: npm run simulate -- [--seed N] [--seeds COUNT] [--pods N] [--connections N] [--minutes N] [--redis single|sentinel|cluster]
       a part of a plan:  [--faults 1,2] [--clients 3,4] [--for MS]`;
const PROGRESS_MS = 5000;

await main();

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      seeds: { type: 'string', default: '1' },
      pods: { type: 'string', default: '3' },
      connections: { type: 'string', default: '24' },
      minutes: { type: 'string', default: '1' },
      redis: { type: 'string' },
      faults: { type: 'string' },
      clients: { type: 'string' },
      for: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    print(USAGE);
    return;
  }
  const settings = {
    pods: number(values.pods),
    connections: number(values.connections),
    minutes: number(values.minutes),
    redis: values.redis === undefined ? undefined : redisKind(values.redis),
  };
  const selection: Selection = {
    faults: values.faults === undefined ? undefined : numbers(values.faults),
    clients: values.clients === undefined ? undefined : numbers(values.clients),
    durationMs: values.for === undefined ? undefined : number(values.for),
  };
  await runAll(number(values.seed), number(values.seeds), settings, selection);
}

async function runAll(first: number, count: number, common: Omit<Settings, 'seed'>, selection: Selection): Promise<void> {
  const all = new Statistics();
  let printedMs = Date.now();
  const isPart = Object.values(selection).some((part) => part !== undefined);
  for (let seed = first; seed < first + count; seed++) {
    const settings = { ...common, seed };
    const startMs = Date.now();
    const outcome = await play(planOf(settings, selection), { withHistory: isPart });
    all.add(outcome.statistics);
    if (outcome.violations.length > 0) {
      await fail(settings, outcome, isPart);
      return;
    }
    if (count === 1) print(`seed ${seed}: no violations, in ${Date.now() - startMs} ms; trace ${outcome.hash}\n${String(all)}`);
    else if (Date.now() - printedMs > PROGRESS_MS) {
      printedMs = Date.now();
      print(`${seed - first + 1} of ${count} seeds: no violations`);
    }
  }
  if (count > 1) print(`${count} seeds from ${first}: no violations\n${String(all)}`);
}

/** Prints the violations of the smallest failing plan that is found, and the command that repeats it. */
async function fail(settings: Settings, outcome: Outcome, isPart: boolean): Promise<void> {
  process.exitCode = 1;
  const check = outcome.violations[0]?.check;
  print(`seed ${settings.seed} fails at commit ${commit()}; trace ${outcome.hash}`);
  if (isPart) {
    printOutcome(outcome);
    return;
  }
  const again = async (plan: Plan): Promise<Outcome | undefined> => {
    const tried = await play(plan);
    return tried.violations[0]?.check === check ? tried : undefined;
  };
  print('shrinking the plan...');
  const selection = await shrink(settings, outcome, again);
  printOutcome(await play(planOf(settings, selection), { withHistory: true }));
  print(`\nto repeat: npm run simulate -- ${argumentsOf(settings, selection)}`);
}

function printOutcome({ violations, history, plan }: Outcome): void {
  print(
    `${plan.clients.length} clients, ${plan.faults.length} faults, ${plan.durationMs} ms, Redis ${plan.redis}; configured with ${JSON.stringify(plan.environment)}`,
  );
  for (const line of history) print(`  ${line}`);
  for (const { check, atMs, what, connection } of violations) {
    const who =
      connection === undefined
        ? ''
        : `connection ${connection.number} of client ${connection.client.index} at pod ${connection.pod.slot} `;
    print(`${new Date(atMs).toISOString().slice(11, 23)} ${check}: ${who}${what}`);
  }
}

function argumentsOf({ seed, pods, connections, minutes, redis }: Settings, { faults, clients, durationMs }: Selection): string {
  return [
    `--seed ${seed} --pods ${pods} --connections ${connections} --minutes ${minutes}`,
    ...(redis === undefined ? [] : [`--redis ${redis}`]),
    ...(faults ? [`--faults ${faults.join(',') || 'none'}`] : []),
    ...(clients ? [`--clients ${clients.join(',')}`] : []),
    ...(durationMs === undefined ? [] : [`--for ${durationMs}`]),
  ].join(' ');
}

function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return 'unknown';
  }
}

function number(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new Error(`${text} is not a number; ${USAGE}`);
  return value;
}

function redisKind(text: string): RedisKind {
  const kind = REDIS_KINDS.find((known) => known === text);
  if (kind === undefined) throw new Error(`${text} is not a kind of Redis; ${USAGE}`);
  return kind;
}

function numbers(text: string): readonly number[] {
  return text === 'none' ? [] : text.split(',').map(number);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
