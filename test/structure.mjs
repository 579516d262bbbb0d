/**
 * `npm run structure`: draws the folders of src, and fails where their imports make a circle. `-- --write` puts the drawing into
 * docs/architecture.md, `-- --check` fails where that page shows another.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cruise } from 'dependency-cruiser';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PAGE = 'docs/architecture.md';
const MARKED = /(<!-- structure:begin -->\n)(.*?)(<!-- structure:end -->)/s;

process.chdir(ROOT);
const flag = { type: 'boolean', default: false };
const { values: options } = parseArgs({ options: { write: flag, check: flag } });

const { modules, summary } = await cruiseSources();
const circles = summary.violations.map(({ cycle, from }) => [from, ...cycle.map(({ name }) => name)].join(' → '));
if (circles.length > 0) fail(`files that import each other in a circle:\n${circles.join('\n')}`);

const graph = foldersOf(modules);
const folders = inOrder(graph);
const drawing = `\n\`\`\`mermaid\n${draw(folders, graph)}\n\`\`\`\n\n`;
if (options.write) write();
else if (options.check) check();
else console.log(drawing.trim());

/** All modules of src with their imports, those of types too. */
async function cruiseSources() {
  const { output } = await cruise(['src'], {
    includeOnly: '^src/',
    tsPreCompilationDeps: true,
    validate: true,
    ruleSet: { forbidden: [{ name: 'no-circle', severity: 'error', from: {}, to: { circular: true } }] },
  });
  return output;
}

/** Each folder of src, and the folders that it imports from. */
function foldersOf(modules) {
  const folders = new Map();
  for (const { source, dependencies } of modules) {
    const from = folderOf(source);
    if (from === undefined) continue;
    if (!folders.has(from)) folders.set(from, new Set());
    const to = dependencies.map(({ resolved }) => folderOf(resolved)).filter((folder) => folder !== undefined && folder !== from);
    for (const folder of to) folders.get(from).add(folder);
  }
  return folders;
}

/** Undefined for files beside the folders, which may import all of them. */
function folderOf(path) {
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

/** Each folder before those that it imports from; of several that could be next, the first by name. */
function inOrder(graph) {
  const left = new Map([...graph].sort(([a], [b]) => a.localeCompare(b)));
  const order = [];
  while (left.size > 0) {
    const imported = new Set([...left.values()].flatMap((to) => [...to]));
    const next = [...left.keys()].find((folder) => !imported.has(folder));
    if (next === undefined)
      fail(`folders that import each other in a circle, or what they import: ${[...left.keys()].join(', ')}`);
    order.push(next);
    left.delete(next);
  }
  return order;
}

/** Arrows from top to bottom, without those that a way through another folder makes plain. */
function draw(folders, graph) {
  const reaches = (from, to) => [...graph.get(from)].some((next) => next === to || reaches(next, to));
  const arrows = folders.flatMap((from) => {
    const imported = folders.filter((to) => graph.get(from).has(to));
    return imported.filter((to) => !imported.some((via) => via !== to && reaches(via, to))).map((to) => `  ${from} --> ${to}`);
  });
  return ['flowchart TD', ...folders.map((folder) => `  ${folder}["${folder}/"]`), ...arrows].join('\n');
}

function write() {
  const page = readFileSync(PAGE, 'utf8');
  if (!MARKED.test(page)) fail(`${PAGE} has no place for the drawing: <!-- structure:begin --> and <!-- structure:end -->`);
  writeFileSync(
    PAGE,
    page.replace(MARKED, (_, begin, __, end) => begin + drawing + end),
  );
}

function check() {
  const [, , shown] = MARKED.exec(readFileSync(PAGE, 'utf8')) ?? [];
  if (shown !== drawing) fail(`${PAGE} does not show the structure as it is: npm run structure -- --write`);
  console.log(`${PAGE} shows ${folders.length} folders, no circles`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
