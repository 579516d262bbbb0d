import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { connect } from '../support/client.js';
import { ROOT, blocksOf, noted } from '../support/markdown.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { startService, type Service } from '../support/service.js';

let redis: TestRedis;
let service: Service;

beforeAll(async () => {
  redis = await startRedis();
  service = await startService({ REDIS_URL: redis.url, PRESENCE_MAX_MEMBERS: '0' });
});

afterAll(async () => {
  await service.stop();
  await redis.stop();
});

type Command = ChildProcessByStdio<Writable, Readable, null>;

const commands: Command[] = [];

afterEach(async () => {
  for (const command of commands.splice(0)) command.kill('SIGKILL');
  // Whoever waits for connections counts no old ones.
  await service.metricIs('chat_connections', 0);
});

/** A page's command, at the places of this test. */
function start(command: string): Command {
  return spawned('bash', '-c', here(command).replaceAll('redis-cli ', `redis-cli -p ${redis.port} `));
}

function here(text: string): string {
  return text.replaceAll('localhost:8080', `127.0.0.1:${service.port}`);
}

function spawned(file: string, ...args: readonly string[]): Command {
  const child = spawn(file, args, { cwd: ROOT, stdio: ['pipe', 'pipe', 'inherit'] });
  commands.push(child);
  return child;
}

/** Resolves with the first line that says so. */
async function prints(command: Command, text: string): Promise<string> {
  for await (const line of createInterface(command.stdout)) if (line.includes(text)) return line;
  throw new Error(`it ended without a word of ${text}`);
}

/** Resolves with all that it printed. */
async function ends(command: Command): Promise<string> {
  let printed = '';
  command.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  await once(command, 'close');
  return printed;
}

describe('README.md', () => {
  test('shows a client: what is typed in one, both print', async () => {
    const client = noted('README.md', 'client').trim();
    const [one, other] = [start(client), start(client)];
    const heard = [prints(one, '"chat"'), prints(other, '"chat"')];
    const [ada] = await Promise.all([connect(service.port, '/ws/tea'), service.metricIs('chat_connections', 3)]);
    one.stdin.write('hello\n');
    for (const line of await Promise.all(heard)) {
      expect(JSON.parse(line)).toMatchObject({ type: 'chat', room: 'tea', data: { content: 'hello' } });
    }
    await ada.close();
  });
});

describe('docs/protocol.md', () => {
  test('has a browser client that hears, speaks, and comes back', async () => {
    const blocks = blocksOf('docs/protocol.md').filter(({ language }) => language === 'js');
    const code = blocks.map(({ text }) => here(text)).join('\n');
    const typed = 'process.stdin.on("data", (data) => say(`${data}`.trim()))';
    const ada = await connect(service.port, '/ws/tea');
    const client = spawned(process.execPath, '-e', `globalThis.WebSocket = require("ws");\n${code}\n${typed}`);
    await service.metricIs('chat_connections', 2);
    ada.chat('hello');
    await prints(client, ': hello');
    client.stdin.write('good day\n');
    await ada.hearsChat('good day');
    await ada.close();
  });

  test('shows what another service publishes', async () => {
    const ada = await connect(service.port, '/ws/tea');
    await ends(start(noted('docs/protocol.md', 'publish')));
    expect(await ada.hearsType('notification')).toMatchObject({ from: 'kitchen', data: { text: 'the water boils' } });
    await ada.close();
  });
});

describe('docs/operations.md', () => {
  const rules = blocksOf('docs/operations.md').flatMap(({ text }) =>
    text.split('\n').filter((line) => line.startsWith('redis-cli ACL')),
  );

  test.each(rules)('has rules that Redis takes: %s', async (line) => {
    expect(await ends(start(line))).toBe('OK\n');
  });

  test('has rules that are enough for a pod', async () => {
    await ends(start(rules[0] ?? ''));
    const { hostname, port } = new URL(redis.url);
    const guarded = await startService({ REDIS_URL: `redis://chat:s3cret%2F%2B%40@${hostname}:${port}` });
    const [ada, ben] = await Promise.all([connect(guarded.port, '/ws/tea'), connect(service.port, '/ws/tea')]);
    ada.chat('hello');
    await ben.hearsChat('hello');
    expect((await guarded.get('/readyz')).status).toBe(200);
    await Promise.all([ada.close(), ben.close()]);
    await guarded.stop();
  });
});
