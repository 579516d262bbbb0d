import { describe, expect, test } from '@jest/globals';
import { TurnBatch } from '../../src/redis/turn-batch.js';
import { marbles, virtualRuntime } from '../support/marbles.js';

/** What a batch hands over, as `{ms} {values}`: a letter is added when it comes, `X` clears. */
function handedOver(story: string): readonly string[] {
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
  test('is handed over once at the end of a turn, in the order in which it was added', () => {
    expect(handedOver('-(abc)')).toEqual(['1 abc']);
  });

  test('is a new one in each turn', () => {
    expect(handedOver('-(ab)-(ca)')).toEqual(['1 ab', '6 ca']);
  });

  test('without anything in it is not handed over', () => {
    expect(handedOver('-(abX)-c')).toEqual(['7 c']);
  });

  test('that was cleared has what the same turn adds after that, once', () => {
    expect(handedOver('-(abXcd)')).toEqual(['1 cd']);
  });

  test('takes what is added while it is handed over into the next turn', () => {
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
