import { once } from 'node:events';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, hasEnded, startProcess, stopProcess } from './processes.mjs';

/** A redis-server of the benchmark's own: on a free port, without persistence, on the core of the load. */
export async function startRedis() {
  const port = await freePort();
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', tmpdir()];
  const child = startProcess('load', 'redis-server', settings);
  while (!(await answers(port))) {
    if (hasEnded(child)) throw new Error(`redis-server ended: ${child.said()}`);
    await sleep(20);
  }
  return { url: `redis://127.0.0.1:${port}`, pid: child.pid, stop: () => stopProcess(child) };
}

async function answers(port) {
  const socket = createConnection(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write('PING\r\n');
    const [answer] = await once(socket, 'data');
    return String(answer).startsWith('+PONG');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
