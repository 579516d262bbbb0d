import type { SeededRandom } from './seeded-random.js';

const SECOND_MS = 1000;
const HOUR_MS = 3_600_000;

/** No two machines' clocks run at the same rate. */
const MOST_DRIFT = 200e-6;

/** Parts of the way in which a clock was set once. */
interface Setting {
  readonly fromMs: number;
  readonly offMs: number;
}

/** The clock on the wall of one machine: it is off, drifts, and is set now and then. All but its readings is in true time. */
export class MachineClock {
  readonly #startMs: number;
  readonly #rate: number;
  readonly #settings: Setting[];

  constructor(startMs: number, random: SeededRandom) {
    this.#startMs = startMs;
    this.#rate = (random.next() * 2 - 1) * MOST_DRIFT;
    this.#settings = [{ fromMs: -Infinity, offMs: errorOf(random) }];
  }

  /** The clock's reading. */
  at(ms: number): number {
    return Math.floor(ms + this.#offAt(ms, this.#settingAt(ms)));
  }

  /** Somebody, or NTP, sets it. */
  set(nowMs: number, random: SeededRandom): void {
    this.#settings.push({ fromMs: nowMs, offMs: errorOf(random) });
  }

  /** The latest reading that may stand for a moment: by its setting then, or any since. */
  latestAt(ms: number, untilMs: number): number {
    return Math.floor(Math.max(...this.#settingsIn(ms, untilMs).map((setting) => ms + this.#offAt(ms, setting))));
  }

  /** The moments that a reading may stand for, by each setting in a time. */
  momentsOf(reading: number, fromMs: number, untilMs: number): readonly number[] {
    return this.#settingsIn(fromMs, untilMs).map((setting) => reading - this.#offAt(untilMs, setting));
  }

  #offAt(ms: number, { offMs }: Setting): number {
    return offMs + (ms - this.#startMs) * this.#rate;
  }

  #settingAt(ms: number): Setting {
    return this.#settings.findLast(({ fromMs }) => fromMs <= ms) ?? { fromMs: -Infinity, offMs: 0 };
  }

  #settingsIn(fromMs: number, untilMs: number): readonly Setting[] {
    const first = this.#settingAt(fromMs);
    return [first, ...this.#settings.filter((setting) => setting.fromMs > first.fromMs && setting.fromMs <= untilMs)];
  }
}

/** How wrong a clock is: mostly a little, sometimes by minutes, now and then by hours. */
function errorOf(random: SeededRandom): number {
  const mostMs = random.pick([50, 50, 3 * SECOND_MS, 3 * SECOND_MS, 120 * SECOND_MS, 5 * HOUR_MS]);
  return Math.round((random.next() * 2 - 1) * mostMs);
}
