import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CASES } from './cases/index.mjs';
import { connections } from './cases/connections.mjs';
import { ladder } from './cases/ladder.mjs';
import { formats, median } from './figures.mjs';
import { DISTURBING_SHARE } from './load.mjs';
import { COMPARED, SERVERS } from './servers.mjs';

/**
 * Writes the page and its charts from the results.
 *
 * @param {string} page path of the page; its charts go into a folder beside it
 * @param {Record<string, object>} results as `readResults` gives them
 */
export async function writeReport(page, results) {
  const measured = CASES.filter(({ name }) => results[name] !== undefined);
  const charts = await writeCharts(page, results);
  const sections = [
    head(measured, results),
    targets(measured, results),
    charts,
    setting(measured, results),
    method(measured, results),
    notes(),
    ...measured.map((each) => caseSection(each, results[each.name])),
  ];
  writeFileSync(page, `${sections.filter(Boolean).join('\n\n')}\n`);
}

/** Explains the targets that were not reached; written by hand, from profiles. */
function notes() {
  return readFileSync(new URL('notes.md', import.meta.url), 'utf8').trim();
}

/** One row per check, for the terminal after a case and for the table of the page. */
export function checkRow({ what, values, ratio, target, reached }) {
  const verdict = reached === undefined ? '' : reached ? 'reached' : 'not reached';
  return [
    what,
    ...COMPARED.map((server) => values[server] ?? '–'),
    ratio === undefined ? '–' : formats.times(ratio),
    target,
    verdict,
  ];
}

export const CHECK_COLUMNS = ['what', ...COMPARED.map((server) => SERVERS[server].title), '÷ bare', 'target', 'result'];

function head(measured, results) {
  const runs = measured.map(({ name }) => results[name]);
  const days = [...new Set(runs.map(({ at }) => at.slice(0, 10)))].sort();
  const commits = [...new Set(runs.map(({ commit }) => commit))];
  const minutes = runs.reduce((sum, { seconds }) => sum + seconds, 0) / 60;
  return `# Benchmarks

\`npm run bench\` writes this page: every number comes from its last run. [How it is measured](#how-it-is-measured) describes the method
and how to repeat it. Times depend on the machine; ratios to the bare server, which is measured in the same round, mostly do not.

Measured ${days.join(' and ')} on commit ${commits.join(' and ')}, within ${minutes.toFixed(0)} minutes.`;
}

function targets(measured, results) {
  const rows = measured.flatMap(({ name, title, checks }) =>
    checks(results[name].samples).map((check) => {
      const [what, ...cells] = checkRow(check);
      const verdict = cells.pop();
      return [
        `[${title}](#${name}): ${what}`,
        ...cells,
        verdict === '' ? '' : verdict === 'reached' ? 'reached' : '**not reached**',
      ];
    }),
  );
  return `## Targets

CPU is the CPU time of the server's process, memory its resident set. *÷ bare* is the ratio to the bare server: the median of the
ratios of all rounds. A target counts as reached only if the service also delivered every message once and in order, and closed no
connection that it should have kept.

${table(['case', ...CHECK_COLUMNS.slice(1)], rows)}`;
}

async function writeCharts(page, results) {
  const folder = page.replace(/\.md$/, '');
  // Imported here, because its packages may not be installed when this file is loaded.
  const { latencyChart, memoryChart, throughputChart } = await import('./charts.mjs');
  const drawn = [];
  const write = (name, alt, svg) => {
    const path = join(folder, `${name}.svg`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, svg);
    drawn.push(`![${alt}](${folder.split('/').at(-1)}/${name}.svg)`);
  };
  if (results.ladder) {
    const climb = ladder.climb(results.ladder.samples);
    write('throughput', 'Deliveries a second against messages offered a second', throughputChart(climb, ladder.members));
    write('latency', 'p99 against messages offered a second', latencyChart(climb, ladder.members));
  }
  if (results.connections) {
    write('memory', 'Memory against idle connections', memoryChart(connections.growth(results.connections.samples)));
  }
  return drawn.length > 0 && `## Charts\n\n${drawn.join('\n\n')}`;
}

function setting(measured, results) {
  const newest =
    results[
      measured
        .map(({ name }) => name)
        .sort((a, b) => results[a].at.localeCompare(results[b].at))
        .at(-1)
    ];
  const { machine, versions } = newest;
  const list = (packages) =>
    Object.entries(packages)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ');
  const pinned = machine.pinning
    ? `the server to core ${machine.pinning.server}; the load generator, Redis and the benchmark itself to core ${machine.pinning.load}`
    : 'nothing: there is no second core, or no `taskset`';
  return `## Machine and versions

${table(
  ['', ''],
  [
    ['processor', `${machine.cpu}, ${machine.cores} cores`],
    ['memory', `${machine.memoryGiB} GiB`],
    ['kernel', machine.kernel],
    ['open files', `at most ${formats.count(machine.maxOpenFiles)} per process, which limits the number of connections`],
    ['pinned', pinned],
    ['Node', versions.node],
    ['redis-server', `${versions.redis}, on loopback, without persistence`],
    ['the service', list(versions.service)],
    ['the peers', list(versions.peers)],
    ['load generator', `wsload.c, ${versions.compiler}, -O2`],
  ],
)}`;
}

function method(measured, results) {
  return `## How it is measured

- **Servers.** The service as it is shipped, built from this commit and started as \`node dist/main.js\` with \`PRESENCE_MAX_MEMBERS=0\` and \`LOG_LEVEL=warn\`; all other settings have their defaults, including heartbeats and metrics. It is compared with *bare ws* ([peers/bare-ws.mjs](../bench/peers/bare-ws.mjs)), ws and ioredis with nothing between them; *filter per connection* ([peers/naive-rxjs.mjs](../bench/peers/naive-rxjs.mjs)), one Redis Observable that every connection filters; and *Socket.IO* ([peers/socketio.mjs](../bench/peers/socketio.mjs)) with its Redis adapter.
- **Alternating runs.** Each run has its own server process. The servers alternate within a round, and every second round goes backwards, so that drift of the machine affects all of them equally. If there are several rounds, figures are medians.
- **Load.** [wsload](../bench/wsload.c), one thread in C. Each message carries its sender, its number and the time at which it was sent, so wsload can check every delivery: it counts lost, repeated and reordered messages. Messages have 64 bytes of content unless the case says otherwise. wsload reads the server's CPU time and resident set from \`/proc\`.
- **The load generator is not the bottleneck.** ${generatorShare(measured, results)}
- **Other load on the machine.** ${disturbance(measured, results)}
- **Latency** is the time from sending a message to its delivery, over all deliveries of the measurement. The message goes through the server, Redis and the server again, on one machine.

### How to repeat it

\`\`\`sh
npm ci
npm run bench                      # all cases; needs redis-server and a C compiler
npm run bench -- --case one-room   # one case; updates its rows on this page
npm run bench -- --list            # lists the cases
npm run bench -- --quick           # short runs, to check that everything works; does not write this page
npm run bench:micro                # only the operators
\`\`\``;
}

/** The highest CPU shares of the load generator and of Redis, as a sentence. */
function generatorShare(measured, results) {
  const runs = measured.flatMap(({ name, title }) =>
    results[name].samples
      .filter(({ load }) => load?.redis_cpu !== undefined)
      .map(({ server, load }) => ({
        title,
        server: SERVERS[server].title,
        own: load.own_cpu,
        core: load.own_cpu + load.redis_cpu,
      })),
  );
  if (runs.length === 0) return '';
  const busiest = (figure) => runs.reduce((a, b) => (b[figure] > a[figure] ? b : a));
  const say = ({ title, server }) => `${title}; ${server}`;
  const [own, core] = [busiest('own'), busiest('core')];
  const over = runs.filter(({ core: share }) => share > 0.9).length;
  return `It used at most ${formats.percent(own.own)} of its core (${say(own)}); with Redis, which shares that core, at most ${formats.percent(core.core)} (${say(core)}). Together they used more than 90 % in ${over === 0 ? 'none' : over} of ${runs.length} runs. Each case below has its own figures.`;
}

/** The CPU share of other processes, as a sentence. */
function disturbance(measured, results) {
  const shares = measured
    .flatMap(({ name }) => results[name].samples.map(({ load }) => load?.other_cpu))
    .filter((share) => share !== undefined);
  if (shares.length === 0) return '';
  return `All other processes on the machine, including the kernel's own work, took ${formats.percent(median(shares))} of a core in the median run and ${formats.percent(Math.max(...shares))} in the most disturbed one.`;
}

function caseSection({ name, title, about, parameters, table: tableOf }, { at, commit, seconds, samples }) {
  const given = Object.entries(parameters).map(([key, value]) => `${words(key)} ${value === true ? 'yes' : value}`);
  const deaths = samples
    .filter(({ death }) => death !== undefined)
    .map(({ server }) => `${SERVERS[server].title} crashed in a run.`);
  const { columns, rows } = tableOf(samples);
  return [
    `<a id="${name}"></a>\n\n## ${title}`,
    [about, ...new Set(deaths)].filter(Boolean).join(' '),
    `\`npm run bench -- --case ${name}\`: ${given.join(', ')}. Measured ${at.slice(0, 16).replace('T', ' ')} UTC on ${commit}, in ${seconds.toFixed(0)} s.`,
    table(columns, rows),
    disturbedRuns(samples),
  ]
    .filter(Boolean)
    .join('\n\n');
}

/** A note below a case whose runs were disturbed; false if none was. */
function disturbedRuns(samples) {
  const shares = samples.map(({ load }) => load?.other_cpu).filter((share) => share > DISTURBING_SHARE);
  return (
    shares.length > 0 &&
    `In ${shares.length} of ${samples.length} runs other processes were active on the machine, with up to ${formats.percent(Math.max(...shares))} of a core.`
  );
}

function words(key) {
  return key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function table(columns, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}
