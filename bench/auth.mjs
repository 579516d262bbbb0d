/**
 * What a token costs a connection: `npm run build && node bench/auth.mjs [connections]`.
 *
 * Starts the built service three times, without tokens, with a secret and with a key set, opens that many connections to each, ten
 * at a time, and reads its CPU and memory from /metrics.
 */
import { spawn } from 'node:child_process';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

const CONNECTIONS = Number(process.argv[2] ?? 3000);
const AT_ONCE = 10;
const SECRET = 'a secret of thirty-two bytes, or more';

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const claims = (n) => ({
  sub: `user-${n}`,
  exp: Math.floor(Date.now() / 1000) + 3600,
  rooms: ['room-*', 'hall'],
  publish: ['room-*'],
});

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const keys = createServer((_, response) =>
  response.end(JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k' }] })),
);
keys.listen(0, '127.0.0.1');
await once(keys, 'listening');

function bySecret(n) {
  const input = `${base64url({ alg: 'HS256' })}.${base64url(claims(n))}`;
  return `${input}.${createHmac('sha256', SECRET).update(input).digest('base64url')}`;
}

function byKey(n) {
  const input = `${base64url({ alg: 'ES256', kid: 'k' })}.${base64url(claims(n))}`;
  return `${input}.${sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

async function measure(name, environment, token) {
  const service = spawn(process.execPath, [new URL('../dist/main.js', import.meta.url).pathname], {
    env: { REDIS_URL: 'memory:', HOST: '127.0.0.1', PORT: '0', PRESENCE_MAX_MEMBERS: '0', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = await new Promise((resolve) => {
    createInterface(service.stdout).on('line', (line) => {
      const { msg, port: listening } = JSON.parse(line);
      if (msg === 'listening') resolve(listening);
    });
  });
  const read = async () => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const value = (line) => Number(new RegExp(`^${line} (.*)$`, 'm').exec(text)?.[1]);
    return {
      cpuS: value('process_cpu_seconds_total'),
      heap: value('nodejs_heap_size_used_bytes'),
      rss: value('process_resident_memory_bytes'),
    };
  };
  const tokens = Array.from({ length: 2 * CONNECTIONS }, (_, n) => token?.(n));
  const open = async (n) => {
    const headers = tokens[n] === undefined ? {} : { Authorization: `Bearer ${tokens[n]}` };
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws/room-${n}`, { headers, perMessageDeflate: false });
    await once(socket, 'message');
    return socket;
  };
  const openAll = async (from) => {
    const sockets = [];
    let next = from;
    const worker = async () => {
      while (next < from + CONNECTIONS) sockets.push(await open(next++));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return sockets;
  };
  // The first round warms up, and fetches the keys; its connections stay.
  const warm = await openAll(0);
  const before = await read();
  const sockets = await openAll(CONNECTIONS);
  const after = await read();
  const per = (kind, scale) => (((after[kind] - before[kind]) * scale) / CONNECTIONS).toFixed(kind === 'cpuS' ? 0 : 1);
  console.log(
    `${name.padEnd(22)} ${per('cpuS', 1e6).padStart(6)} µs CPU ${per('rss', 1 / 1024).padStart(6)} KB resident, per connection`,
  );
  for (const socket of [...warm, ...sockets]) socket.terminate();
  service.kill('SIGKILL');
  await once(service, 'exit');
}

console.log(`${CONNECTIONS} connections, Node ${process.version}`);
await measure('without tokens', {}, undefined);
await measure('HS256, a secret', { AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET }, bySecret);
await measure('ES256, a key set', { AUTH_ENABLED: 'true', AUTH_JWKS_URL: `http://127.0.0.1:${keys.address().port}/` }, byKey);
keys.close();
