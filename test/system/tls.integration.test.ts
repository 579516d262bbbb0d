import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { makeCertificates, type TestCertificates } from '../support/certificates.js';
import { connect } from '../support/client.js';
import { becomes } from '../support/ready.js';
import { freePort, startRedis, type TestRedis } from '../support/redis.js';
import { startService, type Service } from '../support/service.js';

/** What docs/operations.md tells operators to allow. */
const ACL = 'resetchannels &chat-api:* -@all +client|setname +role +publish +subscribe +unsubscribe';

let certificates: TestCertificates;
let redis: TestRedis;
let service: Service | undefined;

beforeAll(async () => {
  certificates = await makeCertificates();
  const port = await freePort();
  const args = certificates.tlsArgs(port);
  redis = await startRedis(port, [...args, '--user', 'chat', 'on', '>s3cret/+@', ...ACL.split(' ')], {
    password: 'another',
    ca: certificates.ca,
  });
});

afterEach(async () => {
  await service?.stop('SIGKILL');
});

afterAll(async () => {
  await redis.stop();
  await certificates.remove();
});

test('rediss: with a user who may do just what the service needs, and a password that has to be encoded; also after the connections were lost', async () => {
  service = await start(certificates.ca);
  await becomes(service, 200);
  const [ada, ben] = await Promise.all([connect(service.port, '/ws/tea'), connect(service.port, '/ws/tea')]);
  ada.chat('hello');
  await ben.hearsChat('hello');
  const list = String(await redis.client.client('LIST'));
  const names = [...list.matchAll(/ name=(chat-api:\S+).* user=(\S+)/g)].map(
    ([, name, user]) => `${String(name)} ${String(user)}`,
  );
  expect(names.sort()).toEqual(['chat-api:publisher chat', 'chat-api:subscription chat']);
  for (const type of ['normal', 'pubsub']) await redis.client.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes');
  await ben.hearsEvent('gap');
  await becomes(service, 200);
  ada.chat('hello again');
  await ben.hearsChat('hello again');
  for (const { webSocket } of [ada, ben]) webSocket.terminate();
  expect(JSON.stringify(service.logs)).not.toContain('s3cret');
});

test('a server whose certificate nobody vouches for is refused, and readyz says so', async () => {
  service = await start(undefined);
  await becomes(service, 503, 'certificate');
});

function start(ca: string | undefined): Promise<Service> {
  return startService({
    REDIS_URL: `rediss://chat:${encodeURIComponent('s3cret/+@')}@127.0.0.1:${redis.port}`,
    ...(ca !== undefined && { NODE_EXTRA_CA_CERTS: ca }),
  });
}
