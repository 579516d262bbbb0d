import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import ts from 'typescript';
import { readConfig } from '../../src/config/config.js';
import { ROOT, blocksOf, pages, type Block } from '../support/markdown.js';

/** The compiler has a lot to read, and may have to share its machine. */
const COMPILE_TIMEOUT_MS = 180_000;

const BLOCKS = pages().flatMap(blocksOf);

function inLanguage(...languages: readonly string[]): readonly Block[] {
  return BLOCKS.filter(({ language }) => languages.includes(language));
}

function placeOf({ page, line }: Block): string {
  return `${page}:${line}`;
}

const source = (path: string) => readFileSync(join(ROOT, path), 'utf8');

const { scripts } = JSON.parse(source('package.json')) as { readonly scripts: Readonly<Record<string, string>> };

/** Who makes sure that a command does what its page says; the first that fits. Each returns what is wrong, or undefined. */
const COMMANDS: readonly (readonly [RegExp, (line: string, block: Block) => string | undefined])[] = [
  [/^# /, () => undefined],
  // It is followed from its first command to its last.
  [/./, (_, { page }) => (page === 'docs/extending.md' ? runBy('test/package.integration.test.ts', page) : 'next')],
  [/^npm (ci|run|start|test)/, npm],
  [/node dist\/main\.js$/, (line) => settings(line.split(' node ')[0] ?? '')],
  [/^node -e /, (line, { page, note }) => (note === 'client' ? runBy('test/docs/commands.integration.test.ts', page) : line)],
  [/^redis-cli /, (_, { page }) => runBy('test/docs/commands.integration.test.ts', page)],
  [/^docker build /, () => runBy('test/dockerfile.mjs', 'Dockerfile')],
  [/^docker run /, (line) => settings(Array.from(line.matchAll(/ -e (\S+=\S+)/g), ([, given]) => given).join(' '))],
  [
    /^sudo apt-get install /,
    (line) => (source('.ci/run').includes(line.split(' ').at(-1) ?? '') ? undefined : 'not what CI installs'),
  ],
];

function runBy(test: string, what: string): string | undefined {
  return source(test).includes(what) ? undefined : `${test} does not name ${what}`;
}

function npm(line: string): string | undefined {
  const called = Array.from(line.matchAll(/npm (?:run (?:--silent )?)?([\w:]+)/g), ([, name = '']) => name);
  const unknown = called.filter((name) => name !== 'ci' && scripts[name] === undefined);
  return unknown.length > 0 ? `no script is called ${unknown.join()}` : undefined;
}

/** Variables as a shell is given them: does the service take them? */
function settings(text: string): string | undefined {
  const given = Array.from(text.matchAll(/(\w+)=('[^']*'|\S+)/g), ([, name = '', value = '']) => [
    name,
    value.replaceAll("'", ''),
  ]);
  try {
    readConfig(Object.fromEntries(given) as Record<string, string>);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

function commandsOf({ text }: Block): readonly string[] {
  return text
    .replaceAll('\\\n', ' ')
    .replaceAll(/'[^']*'/g, (quoted) => quoted.replaceAll('\n', ' '))
    .split('\n')
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line !== '');
}

/** What is wrong with a command, or nothing. */
function verdict(line: string, block: Block): readonly string[] {
  for (const [pattern, check] of COMMANDS) {
    if (!pattern.test(line)) continue;
    const problem = check(line, block);
    if (problem !== 'next') return problem === undefined ? [] : [`${line}: ${problem}`];
  }
  return [`${line}: nobody knows whether this works`];
}

/** Modules made of blocks, in the directory of their page; what is wrong with them. */
function problemsOf(blocks: readonly Block[]): readonly string[] {
  const modules = new Map(blocks.map((block, nth) => [moduleOf(block, nth), block]));
  const { options } = ts.convertCompilerOptionsFromJson(
    (ts.parseConfigFileTextToJson('tsconfig.json', source('tsconfig.json')).config as { compilerOptions: object })
      .compilerOptions,
    ROOT,
  );
  const host = ts.createCompilerHost(options);
  const disk = { ...host };
  // Some are in directories that are the reader's.
  host.directoryExists = () => true;
  host.fileExists = (path) => modules.has(path) || disk.fileExists(path);
  host.readFile = (path) => modules.get(path)?.text ?? disk.readFile(path);
  host.getSourceFile = (path, target, ...more) => {
    const block = modules.get(path);
    return block ? ts.createSourceFile(path, block.text, target) : disk.getSourceFile(path, target, ...more);
  };
  const program = ts.createProgram([...modules.keys()], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, start = 0, messageText }) => {
    const block = file && modules.get(file.fileName);
    const line = file ? file.getLineAndCharacterOfPosition(start).line : 0;
    const where = block ? `${block.page}:${block.line + line}` : (file?.fileName ?? '');
    return `${where}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
}

function moduleOf({ page, note }: Block, nth: number): string {
  const named = note.startsWith('file: ') ? note.slice('file: '.length) : `block-${nth}.ts`;
  return resolve(ROOT, dirname(page), named);
}

describe('the blocks of all pages', () => {
  test('are found', () => {
    expect(BLOCKS.map(({ page }) => page)).toEqual(
      expect.arrayContaining(['README.md', 'docs/extending.md', 'examples/bot/README.md']),
    );
    expect(BLOCKS.length).toBeGreaterThan(50);
  });

  test('are in a language that a test looks after, or are no code', () => {
    const looked = ['', 'text', 'mermaid', 'json', 'ts', 'js', 'sh', 'python'];
    expect(BLOCKS.filter(({ language }) => !looked.includes(language)).map(placeOf)).toEqual([]);
  });
});

test.each(inLanguage('json').map((block) => [placeOf(block), block] as const))('the JSON at %s is JSON', (_, { text }) => {
  expect(JSON.parse(text)).toBeDefined();
});

describe('the TypeScript', () => {
  // Its own test runs it, and holds the two together word for word.
  const elsewhere = 'docs/testing.md';

  // One that does not compile is among them, to see that it is found.
  const wrong = {
    page: 'docs/wrong.md',
    line: 7,
    language: 'ts',
    text: "import { reply } from 'chat-api';\nreply(1);\n",
    note: '',
  };

  test(
    'of all pages compiles, in strict mode',
    () => {
      const blocks = inLanguage('ts').filter(({ page }) => page !== elsewhere);
      expect(problemsOf([...blocks, wrong])).toEqual([expect.stringMatching(/^docs\/wrong\.md:8: .*not assignable/)]);
    },
    COMPILE_TIMEOUT_MS,
  );

  test(`of ${elsewhere} is what its test runs`, () => {
    expect(runBy('test/docs/testing.test.ts', elsewhere)).toBeUndefined();
  });
});

describe('the shell commands', () => {
  test.each(inLanguage('sh').map((block) => [placeOf(block), block] as const))(
    'at %s are right, or run by a test',
    (_, block) => {
      expect(spawnSync('bash', ['-n'], { input: block.text, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
      expect(commandsOf(block).flatMap((line) => verdict(line, block))).toEqual([]);
    },
  );

  test.each([
    ['npm run nothing', 'npm run nothing: no script is called nothing'],
    ['PORT=x node dist/main.js', 'PORT=x node dist/main.js: Error: PORT is "x"; allowed: an integer from 0 to 65535'],
    ['rm -rf /', 'rm -rf /: nobody knows whether this works'],
  ])('are looked at: %s', (line, problem) => {
    expect(verdict(line, { page: 'x.md', line: 1, language: 'sh', text: line, note: '' })).toEqual([problem]);
  });
});

test.each(inLanguage('python').map((block) => [placeOf(block), block] as const))('the Python at %s is Python', (_, { text }) => {
  const read = spawnSync('python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], { input: text, encoding: 'utf8' });
  expect(read).toMatchObject({ status: 0, stderr: '' });
});

test('the JavaScript of all pages is that of the browser client, which a test runs', () => {
  expect(inLanguage('js').map(({ page, note }) => [page, note])).toEqual([
    ['docs/protocol.md', 'browser'],
    ['docs/protocol.md', ''],
  ]);
  expect(runBy('test/docs/commands.integration.test.ts', 'docs/protocol.md')).toBeUndefined();
});
