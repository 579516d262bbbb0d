/** `npm run fuzz -- [--runs N] [--seed S]`: that many inputs in all; the same seed makes the same ones. */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { runs: { type: 'string', default: '1000000' }, seed: { type: 'string' } } });
const { status } = spawnSync(
  process.execPath,
  ['--experimental-vm-modules', 'node_modules/jest/bin/jest.js', '--silent=false', 'test/system/fuzz.integration.test.ts'],
  {
    stdio: 'inherit',
    env: { ...process.env, FUZZ_RUNS: values.runs, ...(values.seed !== undefined && { FUZZ_SEED: values.seed }) },
  },
);
process.exitCode = status ?? 1;
