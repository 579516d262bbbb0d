import { expect, test } from '@jest/globals';
import { silentLogger } from '../../src/runtime/log.js';
import { INTERVAL_MS, MOST_LINES, RefusalLog } from '../../src/redis/refusal-log.js';

test('refused channels are logged up to a number in an interval, and the others are counted', () => {
  const lines: unknown[] = [];
  let nowMs = 5;
  const log = new RefusalLog({ ...silentLogger, warn: (...line: unknown[]) => lines.push(line) }, () => nowMs);
  for (let nth = 0; nth < MOST_LINES + 3; nth += 1) log.refused(`channel ${nth}`, 'NOPERM');
  nowMs += INTERVAL_MS - 1;
  log.refused('one more', 'NOPERM');
  expect(lines).toEqual(
    Array.from({ length: MOST_LINES }, (_, nth) => [{ channel: `channel ${nth}`, reason: 'NOPERM' }, 'subscription refused']),
  );
  lines.length = 0;
  nowMs += 1;
  log.refused('a', 'NOPERM');
  log.refused('b', 'NOPERM');
  expect(lines).toEqual([
    [{ channel: 'a', reason: 'NOPERM', unlogged: 4 }, 'subscription refused'],
    [{ channel: 'b', reason: 'NOPERM' }, 'subscription refused'],
  ]);
});
