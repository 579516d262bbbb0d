import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import ts from 'typescript';

const HERE = fileURLToPath(new URL('.', import.meta.url));

interface Named {
  readonly file: string;
  /** A part of a test's or a case's title. */
  readonly title: string;
}

/** The table of docs/security.md: each attack, and the tests that it names. */
function attacks(): readonly (readonly [attack: string, tests: readonly Named[]])[] {
  const page = readFileSync(`${HERE}/../docs/security.md`, 'utf8');
  const section = page.split(/^## /m).find((each) => each.startsWith('Attacks and their tests')) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| '));
  return rows.slice(2).map((row) => {
    const [attack = '', , tests = ''] = row.slice(2, -2).split(' | ');
    const named = [...tests.matchAll(/`([^`]+)`: \*([^*]+)\*/g)].map(([, file = '', title = '']) => ({ file, title }));
    return [attack, named] as const;
  });
}

/** The one test file that a name of the table means: `flood`, or `http/server` where several folders have a file of that name. */
function pathOf(file: string): string {
  const name = file.endsWith('.ts') ? file : `${file}.integration.test.ts`;
  const paths = readdirSync(HERE, { recursive: true, encoding: 'utf8' }).filter((path) => `/${path}`.endsWith(`/${name}`));
  expect([file, ...paths]).toEqual([file, expect.any(String)]);
  return join(HERE, String(paths[0]));
}

/** All string literals of a file; the titles of its tests are among them. */
function textsIn(path: string): readonly string[] {
  const texts: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node)) texts.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2023));
  return texts;
}

test('the table of attacks is found', () => {
  expect(attacks().length).toBeGreaterThan(30);
});

test.each(attacks())('%s: the tests that docs/security.md names are there', (_, named) => {
  expect(named).not.toEqual([]);
  for (const { file, title } of named) {
    expect(textsIn(pathOf(file)).filter((text) => text.includes(title))).not.toEqual([]);
  }
});
