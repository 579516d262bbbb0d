import { afterEach, describe, expect, test } from '@jest/globals';
import { connect } from '../support/client.js';
import { rawConnect, upgradeRequest, type Raw } from '../support/raw.js';
import { startService, type Service } from '../support/service.js';

const OPEN_FILES = 256;
const ends: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});

async function start(): Promise<Service> {
  const service = await startService({ UPGRADE_TIMEOUT_MS: '60000' }, undefined, String(OPEN_FILES));
  ends.push(() => service.stop('SIGKILL'));
  return service;
}

describe('a pod with few file descriptors', () => {
  test('says at its start that they are few, and how many it needs', async () => {
    const service = await start();
    expect(await service.logged('the limit of open files (ulimit -n) is low')).toMatchObject({
      limit: OPEN_FILES,
      needed: expect.any(Number),
    });
  });

  test('lets in who sends a request, while another floods it with idle connections', async () => {
    const service = await start();
    const idle: Raw[] = [];
    ends.push(() => {
      for (const { socket } of idle) socket.destroy();
    });
    for (let nth = 0; nth < 60; nth++) {
      idle.push(...(await Promise.all(Array.from({ length: 10 }, () => rawConnect(service.port)))));
      const client = await connect(service.port, '/ws/tea');
      client.chat(`hello ${nth}`);
      await client.hearsChat(`hello ${nth}`);
      // Half of them stay.
      if (nth % 2 === 0) await client.close();
    }
    expect(await service.metric('chat_connections')).toBe(30);
  });

  test('that are used up refuses more connections, is not ready and says why, and is ready when some are free', async () => {
    const service = await start();
    const clients: Raw[] = [];
    ends.push(() => {
      for (const { socket } of clients) socket.destroy();
    });
    let answer: string;
    do {
      const raw = await rawConnect(service.port);
      raw.write(upgradeRequest('/ws/tea'));
      await raw.receives((received) => received.includes('\r\n\r\n'));
      answer = raw.received.toString('latin1');
      clients.push(raw);
    } while (answer.includes(' 101 ') && clients.length < OPEN_FILES);
    expect(answer).toMatch(/^HTTP\/1\.1 503 [^]*"no_descriptors"/);
    expect(clients.length).toBeGreaterThan(OPEN_FILES / 2);
    const ready = await service.get('/readyz');
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ error: { code: 'no_descriptors' } });
    expect(await service.metric('process_open_fds')).toBeGreaterThanOrEqual(clients.length);
    expect((await service.get('/healthz')).status).toBe(200);
    for (const { socket } of clients.splice(0, 100)) socket.destroy();
    while ((await service.get('/readyz')).status !== 200);
    await (await connect(service.port, '/ws/tea')).close();
  });
});
