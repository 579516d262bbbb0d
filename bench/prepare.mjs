import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { LOAD_GENERATOR } from './load.mjs';

const BENCH = fileURLToPath(new URL('.', import.meta.url));
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BUILD = `${BENCH}.build`;

/** Installs what is missing, builds the service into a directory of the benchmark's own, and compiles the load generator. */
export function prepare() {
  install();
  buildService();
  compileLoadGenerator();
}

/** Installs what the lock file says, unless that has been done. */
export function install() {
  const wanted = readFileSync(`${BENCH}package-lock.json`, 'utf8');
  const stamp = `${BENCH}node_modules/.installed-lock.json`;
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  run('installing the dependencies of the benchmark', 'npm', ['ci', '--no-audit', '--no-fund'], BENCH);
  writeFileSync(stamp, wanted);
}

/** Not into dist/, which belongs to whoever works on the service. */
export function buildService() {
  rmSync(`${BUILD}/dist`, { recursive: true, force: true });
  mkdirSync(BUILD, { recursive: true });
  const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'));
  writeFileSync(`${BUILD}/package.json`, JSON.stringify({ version, type: 'module' }));
  // The service runs on its own dependencies, not on those of the peers, which a look upwards would find first.
  if (!existsSync(`${BUILD}/node_modules`)) symlinkSync('../../node_modules', `${BUILD}/node_modules`);
  run('building the service', 'node_modules/.bin/tsc', ['-p', 'tsconfig.build.json', '--outDir', `${BUILD}/dist`], ROOT);
}

function compileLoadGenerator() {
  run('compiling the load generator', 'cc', ['-O2', '-o', LOAD_GENERATOR, `${BENCH}wsload.c`], BENCH);
}

function run(what, command, args, cwd) {
  console.log(`${what} ...`);
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${what} failed: ${error?.message ?? `${stdout}${stderr}`.trim()}`);
}
