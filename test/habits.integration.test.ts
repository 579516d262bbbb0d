import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from '@jest/globals';
import { ROOT } from './support/markdown.js';

const run = promisify(execFile);

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

describe('npm run demo', () => {
  /** Without its build: other tests use `dist` meanwhile. */
  function demo(): ChildProcessByStdio<null, Readable, null> {
    const child = spawn('npm', ['run', '--silent', '--ignore-scripts', 'demo'], {
      cwd: ROOT,
      env: { ...process.env, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    ends.push(() => child.kill('SIGKILL'));
    return child;
  }

  test.each(['SIGTERM', 'SIGINT'] as const)('listens on loopback, and %s to npm stops the service', async (signal) => {
    const child = demo();
    const exited = once(child, 'exit');
    const messages: unknown[] = [];
    let listening: { address?: unknown; port?: unknown } = {};
    // The output ends when no process holds it any more: neither npm nor the service.
    for await (const line of createInterface(child.stdout)) {
      const logged = JSON.parse(line) as { msg: string; address?: unknown; port?: unknown };
      messages.push(logged.msg);
      if (logged.msg !== 'listening') continue;
      listening = logged;
      expect(await canConnect(Number(logged.port))).toBe(true);
      child.kill(signal);
    }
    await exited;
    expect(messages.at(-1)).toBe('stopped');
    expect(listening.address).toBe('127.0.0.1');
    expect(await canConnect(Number(listening.port))).toBe(false);
  });
});

async function canConnect(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

describe('npm run hooks', () => {
  const UGLY = 'export const a   =  1\n';
  const PRETTY = 'export const a = 1;\n';

  /** A repository with the hook and nothing else. */
  async function repository(): Promise<{ root: string; git: (...args: string[]) => Promise<string> }> {
    const root = await mkdtemp(join(tmpdir(), 'chat-api-hooks-'));
    ends.push(() => rm(root, { recursive: true, force: true }));
    for (const path of ['.githooks', '.prettierrc.json', 'package.json']) {
      await cp(join(ROOT, path), join(root, path), { recursive: true });
    }
    await symlink(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    await mkdir(join(root, 'src'));
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_'));
    const env = { ...Object.fromEntries(own), GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
    const git = async (...args: string[]) =>
      (await run('git', ['-c', 'user.name=x', '-c', 'user.email=x@localhost', ...args], { cwd: root, env })).stdout;
    await git('init', '--quiet');
    await run('npm', ['run', '--silent', 'hooks'], { cwd: root, env });
    return { root, git };
  }

  test('formats what is committed', async () => {
    const { root, git } = await repository();
    await writeFile(join(root, 'src/a b.ts'), UGLY);
    await git('add', 'src');
    await git('commit', '--quiet', '-m', 'Add a');
    expect(await git('show', 'HEAD:src/a b.ts')).toBe(PRETTY);
    expect(await readFile(join(root, 'src/a b.ts'), 'utf8')).toBe(PRETTY);
  });

  test('commits no more of a file than was staged', async () => {
    const { root, git } = await repository();
    await writeFile(join(root, 'src/a.ts'), UGLY);
    await git('add', 'src');
    await writeFile(join(root, 'src/a.ts'), `${UGLY}export const b = 2;\n`);
    await git('commit', '--quiet', '-m', 'Add a');
    expect(await git('show', 'HEAD:src/a.ts')).toBe(UGLY);
  });
});
