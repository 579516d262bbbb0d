import { describe, expect, test } from '@jest/globals';
import { TurnBatch } from '../../src/redis/turn-batch.js';
import { marbles, virtualRuntime } from '../support/marbles.js';

/** What a batch flushes, as `{ms} {values}`. A letter is added, `X` clears. */
function flushed(story: string): readonly string[] {
  const used: string[] = [];
  marbles(({ hot, flush }, scheduler) => {
    const { turnEnd$ } = virtualRuntime(scheduler);
    const batch = new TurnBatch<string>(turnEnd$, (values) => used.push(`${scheduler.now()} ${values.join('')}`));
    hot(story).subscribe((what) => {
      if (what === 'X') batch.clear();
      else batch.add(what);
    });
    flush();
  });
  return used;
}

describe('a batch', () => {
  test('is flushed once at the end of a turn, in order', () => {
    expect(flushed('-(abc)')).toEqual(['1 abc']);
  });

  test('is a new one in each turn', () => {
    expect(flushed('-(ab)-(ca)')).toEqual(['1 ab', '6 ca']);
  });

  test('that is empty is not flushed', () => {
    expect(flushed('-(abX)-c')).toEqual(['7 c']);
  });

  test('that was cleared flushes what is added later in the same turn', () => {
    expect(flushed('-(abXcd)')).toEqual(['1 cd']);
  });

  test('flushes what is added during a flush in the next turn', () => {
    marbles(({ flush }, scheduler) => {
      const { turnEnd$ } = virtualRuntime(scheduler);
      const used: string[] = [];
      const batch = new TurnBatch<string>(turnEnd$, (values) => {
        used.push(values.join(''));
        if (used.length < 3) for (const value of values) batch.add(`${value}'`);
      });
      batch.add('a');
      batch.add('b');
      expect(used).toEqual([]);
      flush();
      expect(used).toEqual(['ab', "a'b'", "a''b''"]);
    });
  });
});
