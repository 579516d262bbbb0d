import { connect, type Client } from './client.js';
import { Ledger } from './ledger.js';
import { becomes } from './ready.js';
import { startService, type Service } from './service.js';

/** What a test has started: servers, pods on them, and traffic. All of it ends with the test. */
export class Deployment {
  readonly #ends: (() => unknown)[] = [];

  /** Calls `end` at the end of the test, before the functions that were added earlier. */
  onEnd(end: () => unknown): void {
    this.#ends.push(end);
  }

  async end(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end();
  }

  /**
   * Starts a pod, and waits until `/readyz` has the status.
   *
   * @param main the program to start; the built service if absent
   */
  async startPod(environment: Readonly<Record<string, string>>, status = 200, main?: string): Promise<Service> {
    const pod = await startService(environment, main);
    this.onEnd(() => pod.stop('SIGKILL'));
    await becomes(pod, status);
    return pod;
  }

  /** Connects a client to each of the pods, and lets the first client send to the others. */
  async traffic(room: string, pods: readonly Service[]): Promise<Ledger> {
    const clients = await Promise.all(pods.map(({ port }) => connect(port, `/ws/${encodeURIComponent(room)}`)));
    const [sender, ...others] = clients as [Client, ...Client[]];
    const ledger = new Ledger(room, sender, others);
    this.onEnd(() => {
      ledger.end();
    });
    ledger.start();
    return ledger;
  }
}
