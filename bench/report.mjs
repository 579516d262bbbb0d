import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CASES } from './cases/index.mjs';
import { connections } from './cases/connections.mjs';
import { ladder } from './cases/ladder.mjs';
import { formats, median } from './figures.mjs';
import { DISTURBING_SHARE } from './load.mjs';
import { COMPARED, SERVERS } from './servers.mjs';

/**
 * Writes the page and its charts from what was measured.
 *
 * @param {string} page where the page goes; its charts go into a folder beside it
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
    ...measured.map((each) => caseSection(each, results[each.name])),
  ];
  writeFileSync(page, `${sections.filter(Boolean).join('\n\n')}\n`);
}

/** One line a check: what the terminal shows after a case, and the page in its table. */
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

Written by \`npm run bench\`: every number on this page comes from its last run. How to repeat it, and how each case is measured,
stands below. Times depend on the machine; ratios to the bare server, which is measured in the same round, mostly do not.

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

CPU is that of the server's process, memory its resident set. *÷ bare* is the median of the ratios, round by round, to the bare
server. A row is reached only where the service also delivered everything once and in order and closed nobody it should not have.

${table(['case', ...CHECK_COLUMNS.slice(1)], rows)}`;
}

async function writeCharts(page, results) {
  const folder = page.replace(/\.md$/, '');
  // Loaded here, for what is not installed yet cannot be imported.
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
    ? `the server on core ${machine.pinning.server}; the load generator, Redis and the benchmark itself on core ${machine.pinning.load}`
    : 'nothing: there is no second core, or no `taskset`';
  return `## Machine and versions

${table(
  ['', ''],
  [
    ['processor', `${machine.cpu}, ${machine.cores} cores`],
    ['memory', `${machine.memoryGiB} GiB`],
    ['kernel', machine.kernel],
    ['open files', `at most ${formats.count(machine.maxOpenFiles)} a process, which bounds the connections`],
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

- **Servers.** The service as it is shipped, built from this commit and started as \`node dist/main.js\` with \`PRESENCE_MAX_MEMBERS=0\` and \`LOG_LEVEL=warn\`; everything else is at its default, heartbeats and metrics too. Against it: *bare ws* ([peers/bare-ws.mjs](../bench/peers/bare-ws.mjs)), ws and ioredis with nothing between them; *filter per connection* ([peers/naive-rxjs.mjs](../bench/peers/naive-rxjs.mjs)), one Redis Observable that every connection filters; *Socket.IO* ([peers/socketio.mjs](../bench/peers/socketio.mjs)) with its Redis adapter.
- **By turns.** Each run has a server process of its own. Servers take turns within a round, every second round backwards, so what drifts on the machine meets all alike. Where there are several rounds, figures are medians.
- **Load.** [wsload](../bench/wsload.c), one thread in C. Each message carries its sender, its number and the time it was sent, so every delivery is checked: what is lost, repeated or out of order is counted. Messages have 64 bytes of content where nothing else is said. It reads the server's CPU time and resident set from \`/proc\`.
- **The load generator is not the bottleneck.** ${generatorShare(measured, results)}
- **Nothing else was measured with it.** ${disturbance(measured, results)}
- **Latency** is from a message's sending to its delivery, over all deliveries of the measurement, within one machine: through the server, Redis and the server again.

### How to repeat it

\`\`\`sh
npm ci
npm run bench                      # all cases; needs redis-server and a C compiler
npm run bench -- --case one-room   # one case, and its row here
npm run bench -- --list            # their names
npm run bench -- --quick           # short runs, to see that everything works; writes nothing here
npm run bench:micro                # the operators alone
\`\`\``;
}

/** What the generator and Redis took of their core, at most, in words. */
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
  return `Of its core it used at most ${formats.percent(own.own)} (${say(own)}); together with Redis, which shares that core, at most ${formats.percent(core.core)} (${say(core)}). ${over === 0 ? 'In no run' : `In ${over} of ${runs.length} runs`} the two were over 90 %. Each case below has its own figures.`;
}

/** What ran beside the benchmark, in words. */
function disturbance(measured, results) {
  const shares = measured
    .flatMap(({ name }) => results[name].samples.map(({ load }) => load?.other_cpu))
    .filter((share) => share !== undefined);
  if (shares.length === 0) return '';
  return `Everything else on the machine, the kernel's own work included, took ${formats.percent(median(shares))} of a core in the middle run and ${formats.percent(Math.max(...shares))} in the most disturbed.`;
}

function caseSection({ name, title, about, parameters, table: tableOf }, { at, commit, seconds, samples }) {
  const given = Object.entries(parameters).map(([key, value]) => `${words(key)} ${value === true ? 'yes' : value}`);
  const deaths = samples
    .filter(({ death }) => death !== undefined)
    .map(({ server }) => `${SERVERS[server].title} did not survive a run.`);
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

/** Which of the rows above to read with care. */
function disturbedRuns(samples) {
  const shares = samples.map(({ load }) => load?.other_cpu).filter((share) => share > DISTURBING_SHARE);
  return (
    shares.length > 0 &&
    `In ${shares.length} of ${samples.length} runs something else was at work on the machine: up to ${formats.percent(Math.max(...shares))} of a core.`
  );
}

function words(key) {
  return key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function table(columns, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}
