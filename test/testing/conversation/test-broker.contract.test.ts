import { test } from '@jest/globals';
import { Subject } from 'rxjs';
import type { Publication } from '../../../src/broker/broker.js';
import { brokerContract, type ContractSetup } from '../../../src/testing/brokerContract.js';
import { TestBroker } from '../../../src/testing/conversation/test-broker.js';

for (const { name, run } of brokerContract(createPods)) test(`a conversation's broker: ${name}`, run);

function createPods(): Promise<ContractSetup> {
  const bus = new Subject<Publication>();
  const pods = [new TestBroker(bus, () => 0), new TestBroker(bus, () => 0)] as const;
  const each = (change: (pod: TestBroker) => void) => () => {
    pods.forEach(change);
    return Promise.resolve();
  };
  return Promise.resolve({
    pods,
    outage: {
      break: each((pod) => {
        pod.break();
      }),
      mend: each((pod) => {
        pod.mend();
      }),
    },
    end: () => Promise.resolve(),
  });
}
