import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { connect } from '../support/client.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { startService, type Service } from '../support/service.js';

let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(async () => {
  await redis.stop();
});

describe('a handler', () => {
  let service: Service;

  beforeAll(async () => {
    const main = fileURLToPath(new URL('../support/faulty-service.mjs', import.meta.url));
    service = await startService({ REDIS_URL: redis.url }, main);
  });

  afterAll(async () => {
    await service.stop('SIGKILL');
  });

  test.each([
    { type: 'throws', ref: 'mine' },
    { type: 'errors', ref: 'mine' },
    { type: 'is not made', ref: 'mine' },
    { type: 'is no stream', ref: 'mine' },
    { type: 'answers what cannot be written', ref: 'mine' },
    { type: 'publishes what cannot be written', ref: 'mine' },
    // Which message a promise was about, its rejection does not say.
    { type: 'rejects', ref: undefined },
    { type: 'rejects later', ref: undefined },
  ])('that $type: its message gets an error each time, and everything else goes on', async ({ type, ref }) => {
    const [ada, ben] = await Promise.all([connect(service.port, '/ws/tea'), connect(service.port, '/ws/tea')]);
    for (let nth = 1; nth <= 3; nth++) {
      ada.send({ type, id: 'mine' });
      const errors = await ada.hearsMany(nth, (message) => message.type === 'error');
      expect(errors.at(-1)?.data).toMatchObject({ code: 'unavailable' });
      expect(errors.at(-1)?.data['ref']).toBe(ref);
      ada.chat(`still here ${nth}`);
      await Promise.all([ada.hearsChat(`still here ${nth}`), ben.hearsChat(`still here ${nth}`)]);
    }
    expect(ben.heard.filter((message) => message.type === 'error')).toEqual([]);
    await service.logged('handler failed', new RegExp(`"type":"${type}"`));
    await Promise.all([ada.close(), ben.close()]);
  });

  test('that throws when its connection ends: it is logged, and everything else goes on', async () => {
    const [ada, ben] = await Promise.all([connect(service.port, '/ws/tea'), connect(service.port, '/ws/tea')]);
    ada.send({ type: 'ends badly' });
    ada.chat('bye');
    await ben.hearsChat('bye');
    await ada.close();
    await service.logged('handler failed', /"type":"ends badly"/);
    ben.chat('still here');
    await ben.hearsChat('still here');
    await ben.close();
  });
});

describe('the service', () => {
  let service: Service;

  afterEach(async () => {
    await service.stop('SIGKILL');
  });

  test('logs a promise that is rejected and that nobody waited for, and goes on', async () => {
    const stray = "process.on('SIGUSR2', () => void Promise.reject(new Error('stray')))";
    const module = `data:text/javascript,${encodeURIComponent(stray)}`;
    service = await startService({ REDIS_URL: redis.url, NODE_OPTIONS: `--import=${module}` });
    const [ada, ben] = await Promise.all([connect(service.port, '/ws/tea'), connect(service.port, '/ws/tea')]);
    service.process.kill('SIGUSR2');
    expect(await service.logged('unhandled rejection')).toMatchObject({ level: 'error', err: { message: 'stray' } });
    ada.chat('still here');
    await ben.hearsChat('still here');
    expect((await service.get('/healthz')).status).toBe(200);
  });
});
