import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { ROOT } from './support/markdown.js';

const source = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** Scripts that CI runs by another name than `npm run …`, each with the file that runs it. */
const RUN_ELSEWHERE: ReadonlyMap<string, readonly [file: string, command: string]> = new Map([
  ['start', ['.ci/run', 'serves start']],
  ['demo', ['.ci/run', 'serves demo']],
  ['prepack', ['.ci/run', 'npm pack']],
  ['test', ['README.md', 'npm ci && npm test']],
  ['hooks', ['test/habits.integration.test.ts', "'hooks'"]],
]);

const { scripts } = JSON.parse(source('package.json')) as { readonly scripts: Readonly<Record<string, string>> };

/** npm runs `predemo` with `demo`. */
const own = Object.keys(scripts).filter((name) => !(name.startsWith('pre') && name.slice(3) in scripts));

test.each(own)('CI runs the script %s', (name) => {
  const [file, command] = RUN_ELSEWHERE.get(name) ?? ['.ci/run', `npm run ${name}`];
  expect(
    source(file)
      .split(/\n| #/)
      .some((line) => line.includes(command)),
  ).toBe(true);
});

test('the image, its test and CI name the same version of Node', () => {
  const [, image] = /^IMAGE_NODE=(\d+)\./m.exec(source('.ci/run')) ?? [];
  const bases = Array.from(source('Dockerfile').matchAll(/^FROM node:(\d+)/gm), ([, major]) => major);
  expect(new Set(bases)).toEqual(new Set([image]));
  expect(source('test/dockerfile.mjs')).toContain(`'node:${String(image)}-slim'`);
});

test('the lowest version of Node is the same in package.json, .nvmrc and the workflow', () => {
  const { engines } = JSON.parse(source('package.json')) as { readonly engines: { readonly node: string } };
  const lowest = source('.nvmrc').trim();
  expect(engines.node).toBe(`>=${lowest}`);
  expect(source('.github/workflows/ci.yml')).toContain(`{ node: ${lowest}, checks: all }`);
});
