import { afterEach, expect, test } from '@jest/globals';
import { connect } from '../support/client.js';
import { startService, type Service } from '../support/service.js';

let service: Service | undefined;

afterEach(async () => {
  await service?.stop('SIGKILL');
});

test('two clients in a room talk, a third in another room hears nothing', async () => {
  service = await startService();
  const [ada, ben, cat] = await Promise.all([
    connect(service.port, '/ws/tea'),
    connect(service.port, '/ws/tea'),
    connect(service.port, '/ws/coffee'),
  ]);
  ada.chat('hello');
  await Promise.all([ada.hearsChat('hello'), ben.hearsChat('hello')]);
  cat.chat('is anybody there?');
  await cat.hearsChat('is anybody there?');
  expect(cat.chats).toEqual(['is anybody there?']);
  expect(ben.chats).toEqual(['hello']);
});
