// Benches of the operators alone, without sockets or Redis: `npm run bench:micro`, or `-- --only hub` for those that are called so.
import { parseArgs } from 'node:util';
import { install, buildService } from '../prepare.mjs';
import { printTable } from '../terminal.mjs';

const FILES = ['bounded-buffer', 'heartbeat', 'hub', 'conversation'];
const NS_PER_MS = 1e6;

const { values: options } = parseArgs({ options: { only: { type: 'string', default: '' } } });

install();
buildService();
// Only now are they there.
const { Bench } = await import('tinybench');
const benches = (await Promise.all(FILES.map((name) => import(`./${name}.mjs`)))).flatMap((module) => module.default);

const rows = [];
for (const { name, per, count, run } of benches.filter((each) => each.name.includes(options.only))) {
  process.stdout.write(`${name} ... `);
  const bench = new Bench({ time: 500, warmupTime: 250, throws: true }).add(name, run);
  await bench.run();
  const { latency } = bench.tasks[0].result;
  const ns = (ms) => ((ms * NS_PER_MS) / count).toFixed(1);
  rows.push([name, `${ns(latency.p50)} ns`, `${ns(latency.p99)} ns`, `± ${latency.rme.toFixed(1)} %`, per, latency.samplesCount]);
  process.stdout.write(`${ns(latency.p50)} ns per ${per}\n`);
}
console.log();
printTable({ columns: ['bench', 'median', 'p99', 'mean', 'per', 'runs'], rows });
