import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from '@jest/globals';
import { ROOT } from '../support/markdown.js';

/** A function that the message passed. */
interface Call {
  /** Relative to src. */
  readonly file: string;
  /** `Hub.publish`: the names from outside in. A callback without a name is part of the function around it. */
  readonly name: string;
}

const PAGE = join(ROOT, 'docs/architecture.md');
const MARKED = /(<!-- walk:begin -->\n).*?(<!-- walk:end -->)/s;
const MAX_WIDTH = 130;

/** From the frame of one client to the frame for another, with the broker inside the process; in order of first call. */
let calls: readonly Call[] = [];

beforeAll(async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, 'test/support/walk/main.mjs')]);
  const unique = new Map((JSON.parse(stdout) as Call[]).map((call) => [`${call.file} ${call.name}`, call]));
  calls = [...unique.values()];
});

/** An item for each stretch of the walk that stays in one file. */
function list(): string {
  const stretches: { readonly file: string; readonly names: string[] }[] = [];
  for (const { file, name } of calls) {
    const last = stretches.at(-1);
    if (last?.file === file) last.names.push(name);
    else stretches.push({ file, names: [name] });
  }
  return stretches
    .map(({ file, names }, nth) => wrapped(`${nth + 1}.`, [`\`${file}\`:`, ...names.map((name) => `\`${name}\``)]))
    .join('\n');
}

function wrapped(number: string, [file = '', ...names]: readonly string[]): string {
  const lines = [`${number} ${file}`];
  names.forEach((name, nth) => {
    const word = nth < names.length - 1 ? `${name},` : name;
    const line = `${lines.at(-1) ?? ''} ${word}`;
    if (line.length <= MAX_WIDTH) lines.splice(-1, 1, line);
    else lines.push(`${' '.repeat(number.length)} ${word}`);
  });
  return lines.join('\n');
}

function count(of: (call: Call) => string | undefined): number {
  return new Set(calls.map(of).filter((each) => each !== undefined)).size;
}

const files = () => count(({ file }) => file);
const functions = () => count(({ file, name }) => `${file} ${name}`);
const classes = () => count(({ file, name }) => (/^[A-Z]\w*\./.test(name) ? `${file} ${name.split('.', 1).join()}` : undefined));

test('docs/architecture.md lists the functions that a message passes; UPDATE=1 writes the list', async () => {
  const total = `${functions()} functions in ${files()} files, ${classes()} classes among them:`;
  const page = await readFile(PAGE, 'utf8');
  expect(page).toMatch(MARKED);
  const wanted = page.replace(MARKED, (_, begin: string, end: string) => `${begin}\n${total}\n\n${list()}\n\n${end}`);
  if (process.env['UPDATE'] !== undefined) await writeFile(PAGE, wanted);
  else expect(page).toBe(wanted);
});

test('a message passes no more files, functions and classes than it did', () => {
  // Fewer is the aim: 30, 100 and 17. Lower these with each step towards it.
  expect(files()).toBeLessThanOrEqual(38);
  expect(functions()).toBeLessThanOrEqual(130);
  expect(classes()).toBeLessThanOrEqual(28);
});
