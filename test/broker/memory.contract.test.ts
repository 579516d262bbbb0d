import { test } from '@jest/globals';
import { Subject } from 'rxjs';
import { memoryBroker } from '../../src/broker/memory.js';
import type { Publication } from '../../src/broker/broker.js';
import { brokerContract, type ContractSetup } from '../../src/testing/brokerContract.js';

for (const { name, run } of brokerContract(createPods)) test(`a memory broker: ${name}`, run);

function createPods(): Promise<ContractSetup> {
  const bus = new Subject<Publication>();
  return Promise.resolve({ pods: [memoryBroker(bus), memoryBroker(bus)], end: () => Promise.resolve() });
}
