import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
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

/** Wherever in the tests it stands. */
function pathOf(file: string): string | undefined {
  const name = file.endsWith('.ts') ? file : `${file}.integration.test.ts`;
  const path = readdirSync(HERE, { recursive: true, encoding: 'utf8' }).find((each) => basename(each) === name);
  return path === undefined ? undefined : join(HERE, path);
}

/** Every text in a file, which titles are among. */
function textsIn(path: string): readonly string[] {
  const texts: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node)) texts.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2023));
  return texts;
}

test('the table of attacks has been found', () => {
  expect(attacks().length).toBeGreaterThan(30);
});

test.each(attacks())('%s: the tests that docs/security.md names are there', (_, named) => {
  expect(named).not.toEqual([]);
  for (const { file, title } of named) {
    const path = pathOf(file);
    expect([file, path]).not.toEqual([file, undefined]);
    expect(textsIn(path ?? '').filter((text) => text.includes(title))).not.toEqual([]);
  }
});
