import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ROOT, blocksOf, filesOf, noted } from './support/markdown.js';

const run = promisify(execFile);

/** The package is packed and installed as anybody does it, which takes its time. */
const TIMEOUT_MS = 300_000;

const GUIDE = 'docs/extending.md';

/** Nothing of this project's own checks: what a stranger has. */
const STRICT = { strict: true, skipLibCheck: false, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true };

/** An empty directory elsewhere, in which the guide is followed. */
let project: string;
let tarball: string;

async function shell(command: string): Promise<string> {
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', command], { cwd: project });
  return stdout;
}

async function installed(name: string): Promise<string> {
  const text = await readFile(join(ROOT, 'node_modules', name, 'package.json'), 'utf8');
  return `${name}@${(JSON.parse(text) as { readonly version: string }).version}`;
}

/** The guide's command, with the package as it is here, and the compiler and types that it is built with. */
async function here(command: string): Promise<string> {
  return command
    .replaceAll(/npm install/g, 'npm install --prefer-offline --no-audit --no-fund')
    .replace(/ chat-api /, ` ${tarball} `)
    .replace(/ rxjs /, ` ${await installed('rxjs')} `)
    .replace(/ typebox$/m, ` ${await installed('typebox')}`)
    .replace(/ typescript /, ` ${await installed('typescript')} `)
    .replace(/ @types\/node$/m, ` ${await installed('@types/node')}`);
}

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'chat-api-package-'));
  // The build is there already, and other tests run on it.
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', project], { cwd: ROOT });
  tarball = join(project, stdout.trim());
  await shell(await here(noted(GUIDE, 'in an empty directory')));
  for (const [path, text] of filesOf(GUIDE)) {
    await mkdir(dirname(join(project, path)), { recursive: true });
    await writeFile(join(project, path), text);
  }
}, TIMEOUT_MS);

afterAll(async () => {
  await rm(project, { recursive: true, force: true });
});

describe('docs/extending.md, followed in an empty directory', () => {
  test(
    'compiles and passes its test, strictly and with nothing but what the package exports',
    async () => {
      const config = JSON.parse(await readFile(join(project, 'tsconfig.json'), 'utf8')) as { compilerOptions: object };
      Object.assign(config.compilerOptions, STRICT);
      await writeFile(join(project, 'tsconfig.json'), JSON.stringify(config));
      const commands = blocksOf(GUIDE).find(({ text }) => text.includes('node --test'))?.text ?? '';
      expect(commands).toMatch(/^npx tsc$/m);
      expect(await shell(commands)).toMatch(/^# pass 1$/m);
    },
    TIMEOUT_MS,
  );

  test(
    'has a test that notices when the message type does something else',
    async () => {
      const compiled = join(project, 'dist/poke.js');
      const text = await readFile(compiled, 'utf8');
      await writeFile(compiled, text.replace('throttleTime(3000, scheduler)', 'map((message) => message)'));
      const failure = shell('node --test dist/*.test.js');
      await expect(failure).rejects.toMatchObject({
        code: 1,
        stdout: expect.stringMatching(/the handler of poke did something else/),
      });
      await writeFile(compiled, text);
    },
    TIMEOUT_MS,
  );

  test(
    'starts a server that has the message type, and stops it',
    async () => {
      const commands = noted(GUIDE, 'in the background').trim().split('\n');
      // The first has been run by the test above.
      expect(commands).toEqual(['npx tsc', 'node dist/server.js']);
      const server = spawn(process.execPath, ['dist/server.js'], {
        cwd: project,
        env: { ...process.env, HOST: '127.0.0.1', PORT: '0' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      try {
        const port = await portOf(server);
        const client = noted(GUIDE, 'until it prints poke').replace('localhost:8080', `127.0.0.1:${port}`);
        expect(await firstLine(client, '"type":"poke"')).toMatchObject({ type: 'poke', room: 'tea', data: { who: 'ben' } });
        const exited = once(server, 'exit');
        server.kill('SIGTERM');
        const [code] = (await exited) as [number | null];
        expect(code).toBe(0);
      } finally {
        server.kill('SIGKILL');
      }
    },
    TIMEOUT_MS,
  );
});

/** Where it listens, once it says so. */
async function portOf({ stdout }: ChildProcess): Promise<number> {
  if (stdout === null) throw new Error('it has no output');
  for await (const line of createInterface(stdout)) {
    const { msg, port } = JSON.parse(line) as { readonly msg: string; readonly port: number };
    if (msg === 'listening') return port;
  }
  throw new Error('it ended before it listened');
}

/** The first line with a text in it that a command prints, which is JSON; the command is ended then. */
async function firstLine(command: string, text: string): Promise<unknown> {
  const child = spawn('bash', ['-c', `exec ${command}`], { cwd: project, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    for await (const line of createInterface(child.stdout)) if (line.includes(text)) return JSON.parse(line) as unknown;
    throw new Error('it ended without a word of that');
  } finally {
    child.kill('SIGKILL');
  }
}

describe('the package', () => {
  test('exports its two entries and nothing behind them', async () => {
    const names = '(m) => console.log(Object.keys(m).sort().join())';
    expect(await shell(`node -e 'import("chat-api").then(${names})'`)).toMatch(/\bcreateChatServer\b/);
    expect(await shell(`node -e 'import("chat-api/testing").then(${names})'`)).toMatch(/\btestHandler\b/);
    await expect(shell(`node -e 'import("chat-api/dist/hub.js")'`)).rejects.toThrow(/ERR_PACKAGE_PATH_NOT_EXPORTED/);
  });

  test('starts as a command', async () => {
    expect(await shell('npx chat-api --version')).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test('has no sources, tests or simulation in it', async () => {
    const files = (await shell(`tar -tzf ${tarball}`)).trim().split('\n');
    expect(files).toEqual(expect.arrayContaining(['package/dist/index.d.ts', 'package/README.md', 'package/LICENSE']));
    expect(
      files.filter(
        (file) => !/^package\/(dist\/|docs\/[a-z]+\.md$|package\.json$|README\.md$|LICENSE$|CHANGELOG\.md$)/.test(file),
      ),
    ).toEqual([]);
    expect(files.filter((file) => file.includes('simulation'))).toEqual([]);
  });
});
