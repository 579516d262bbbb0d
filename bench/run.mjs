// The benchmark: `npm run bench`. See docs/benchmarks.md for what it measures.
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CASES } from './cases/index.mjs';
import { commit, describeMachine, versions } from './machine.mjs';
import { prepare } from './prepare.mjs';
import { pinThisProcess } from './processes.mjs';
import { startRedis } from './redis.mjs';
import { CHECK_COLUMNS, checkRow, writeReport } from './report.mjs';
import { readResults, writeResults } from './results.mjs';
import { printTable, progress } from './terminal.mjs';

const file = (path) => fileURLToPath(new URL(path, import.meta.url));

const KEPT = { results: file('results.json'), page: file('../docs/benchmarks.md') };
/** A quick run proves that everything works; its numbers are worth nothing. */
const QUICK = { results: file('.build/quick/results.json'), page: file('.build/quick/benchmarks.md') };

const USAGE = `usage: npm run bench -- [--case NAME ...] [--quick] [--list] [--render]

  --case NAME  only this case, of which there may be several
  --quick      short runs, to see that everything works; writes nothing into docs/
  --list       the names of the cases
  --render     measures nothing, writes the page anew from what was measured last`;

await main(readOptions());

async function main({ list, render, quick, case: names }) {
  const files = quick ? QUICK : KEPT;
  if (list) return printTable({ columns: ['case', 'measures'], rows: CASES.map(({ name, title }) => [name, title]) });
  prepare();
  if (!render) await measure(chosen(names), quick, files.results);
  await writeReport(files.page, readResults(files.results));
  console.log(`\nwritten: ${files.page}`);
}

/** Runs cases one after the other; each is kept as soon as it is done. */
async function measure(cases, quick, resultsFile) {
  pinThisProcess();
  const redis = await startRedis();
  try {
    for (const [i, each] of cases.entries()) {
      console.log(`\n[${i + 1}/${cases.length}] ${each.name}: ${each.title}`);
      const result = await measureCase(each, { quick, redis, progress });
      writeResults(resultsFile, { ...readResults(resultsFile), [each.name]: result });
      console.log();
      printTable(each.table(result.samples));
      console.log();
      printTable({ columns: CHECK_COLUMNS, rows: each.checks(result.samples).map(checkRow) });
    }
  } finally {
    await redis.stop();
  }
}

async function measureCase({ run }, bench) {
  const beganMs = performance.now();
  const at = new Date().toISOString();
  const samples = await run(bench);
  const seconds = (performance.now() - beganMs) / 1000;
  return { at, seconds, commit: commit(), machine: describeMachine(), versions: versions(), samples };
}

function chosen(names) {
  return CASES.filter(({ name }) => names.length === 0 || names.includes(name));
}

function readOptions() {
  const flag = { type: 'boolean', default: false };
  try {
    const { values } = parseArgs({
      options: { case: { type: 'string', multiple: true, default: [] }, quick: flag, list: flag, render: flag },
    });
    const unknown = values.case.filter((name) => !CASES.some((each) => each.name === name));
    if (unknown.length > 0) throw new Error(`no such case: ${unknown.join(', ')}; --list names them`);
    return values;
  } catch (error) {
    console.error(`${error.message}\n\n${USAGE}`);
    process.exit(2);
  }
}
