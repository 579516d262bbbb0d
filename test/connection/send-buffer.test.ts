import { describe, expect, test } from '@jest/globals';
import { TestScheduler } from 'rxjs/testing';
import { readConfig } from '../../src/config/config.js';
import { publicationBatch } from '../../src/hub/frame.js';
import { noMetrics } from '../../src/runtime/metrics.js';
import { sendBuffer } from '../../src/connection/send-buffer.js';
import type { Outbound } from '../../src/connection/transport.js';
import { virtualRuntime } from '../support/marbles.js';
import { readable } from '../support/pod.js';

const limits = readConfig({ SLOW_CONSUMER_POLICY: 'drop-oldest' });

/** What the buffers of a pod make of drops, each by its time. */
function pod() {
  const runtime = virtualRuntime(new TestScheduler(() => undefined));
  const { dropOldest } = sendBuffer(limits, noMetrics, runtime);
  return (publishedAtMs: number, present?: Outbound) => {
    const gap = dropOldest?.gap(publicationBatch([], publishedAtMs), present);
    if (gap === undefined) throw new Error('drops nothing');
    return gap;
  };
}

describe('the gap of a slow consumer', () => {
  test('stays as it is for what is no older than its since', () => {
    const drop = pod();
    const gap = drop(5000);
    expect(drop(7000, gap)).toBe(gap);
    expect(drop(5000, gap)).toBe(gap);
  });

  test('moves back for what is older', () => {
    const drop = pod();
    expect(readable(drop(4000, drop(5000)))).toMatchObject([
      { data: { reason: 'slow_consumer', since: '1970-01-01T00:00:04.000Z' } },
    ]);
  });

  test('knows nothing of the gaps of other connections', () => {
    const drop = pod();
    const ours = drop(5000);
    const theirs = drop(9000);
    expect(drop(7000, ours)).toBe(ours);
    expect(readable(drop(7000, theirs))).toMatchObject([{ data: { since: '1970-01-01T00:00:07.000Z' } }]);
  });
});
