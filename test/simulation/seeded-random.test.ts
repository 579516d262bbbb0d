import { describe, expect, test } from '@jest/globals';
import { SeededRandom } from '../../simulation/seeded-random.js';

function draw(random: SeededRandom, count = 1000): readonly number[] {
  return Array.from({ length: count }, random.next);
}

describe('random from a seed', () => {
  test('is the same for the same seed and another for another', () => {
    expect(draw(new SeededRandom(1))).toEqual(draw(new SeededRandom(1)));
    expect(draw(new SeededRandom(1))).not.toEqual(draw(new SeededRandom(2)));
  });

  test('is uniform in [0, 1), as far as a thousand draws can tell', () => {
    const drawn = draw(new SeededRandom(42));
    const tenths = Array.from({ length: 10 }, (_, tenth) => drawn.filter((one) => Math.floor(one * 10) === tenth).length);
    expect(Math.min(...tenths)).toBeGreaterThan(60);
    expect(Math.max(...tenths)).toBeLessThan(140);
  });

  test('of a fork depends on its name alone, not on what was drawn before', () => {
    const fresh = new SeededRandom(7);
    const used = new SeededRandom(7);
    draw(used);
    expect(draw(used.fork('a'))).toEqual(draw(fresh.fork('a')));
    expect(draw(fresh.fork('a'))).not.toEqual(draw(fresh.fork('b')));
  });

  test('integers have both ends', () => {
    const random = new SeededRandom(3);
    const drawn = new Set(Array.from({ length: 200 }, () => random.integer(2, 5)));
    expect([...drawn].sort()).toEqual([2, 3, 4, 5]);
  });
});
