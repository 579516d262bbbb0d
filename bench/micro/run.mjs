// Benches of the operators alone, without sockets or Redis: `npm run bench:micro`, `-- --only hub` for those with `hub` in
// their name, `-- --time 20` for 20 ms a bench, which shows that they work and measures nothing.
import { parseArgs } from 'node:util';
import { install, buildService } from '../prepare.mjs';
import { printTable } from '../terminal.mjs';

const FILES = ['bounded-buffer', 'heartbeat', 'hub', 'connection'];
const NS_PER_MS = 1e6;

const { values: options } = parseArgs({
  options: { only: { type: 'string', default: '' }, time: { type: 'string', default: '500' } },
});
const timeMs = Number(options.time);

install();
buildService();
// Imported here, since the lines above install and build them.
const { Bench } = await import('tinybench');
const benches = (await Promise.all(FILES.map((name) => import(`./${name}.mjs`)))).flatMap((module) => module.default);

const rows = [];
const chosen = benches.filter(({ name }) => name.includes(options.only));
if (chosen.length === 0) throw new Error(`no bench has "${options.only}" in its name`);
for (const { name, per, count, run } of chosen) {
  process.stdout.write(`${name} ... `);
  const bench = new Bench({ time: timeMs, warmupTime: timeMs / 2, throws: true }).add(name, run);
  await bench.run();
  const { latency } = bench.tasks[0].result;
  const ns = (ms) => ((ms * NS_PER_MS) / count).toFixed(1);
  rows.push([name, `${ns(latency.p50)} ns`, `${ns(latency.p99)} ns`, `± ${latency.rme.toFixed(1)} %`, per, latency.samplesCount]);
  process.stdout.write(`${ns(latency.p50)} ns per ${per}\n`);
}
console.log();
printTable({ columns: ['bench', 'median', 'p99', 'mean', 'per', 'runs'], rows });
