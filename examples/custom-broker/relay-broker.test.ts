import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from '@jest/globals';
import { brokerContract, type ContractSetup } from 'chat-api/testing';
import { Relay } from './relay.js';
import { RelayBroker } from './relay-broker.js';

for (const { name, run } of brokerContract(createPods)) test(`a relay's broker: ${name}`, run);

async function createPods(): Promise<ContractSetup> {
  const directory = await mkdtemp(join(tmpdir(), 'relay-'));
  const path = join(directory, 'socket');
  let relay = new Relay();
  await relay.listen(path);
  return {
    pods: [new RelayBroker({ path }), new RelayBroker({ path })],
    outage: {
      break: () => relay.close(),
      mend: async () => {
        relay = new Relay();
        await relay.listen(path);
      },
    },
    end: async () => {
      await relay.close();
      await rm(directory, { recursive: true });
    },
  };
}
