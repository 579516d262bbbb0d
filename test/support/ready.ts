import { expect } from '@jest/globals';
import type { Service } from './service.js';

const POLL_MS = 20;

/** Asks /readyz until it answers so, with that reason in it; meanwhile /healthz is well. */
export async function becomes(pod: Service, status: number, reason = ''): Promise<void> {
  await eventually(async () => {
    const [ready, health] = await Promise.all([pod.get('/readyz'), pod.get('/healthz')]);
    expect(health.status).toBe(200);
    return ready.status === status && (await ready.text()).includes(reason);
  });
}

/** Asks until it is so, where nobody tells. */
export async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
